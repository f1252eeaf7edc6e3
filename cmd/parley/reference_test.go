package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write docs/cli.md anew")

func parser(t *testing.T) *kong.Kong {
	t.Helper()
	p, err := kong.New(&commands{}, kong.Name("parley"), kong.Description(description), kong.ValueFormatter(helpOf),
		kong.Exit(func(int) { t.Error("an example ends the program") }))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every command shows how it is used, and all that is shown can be typed.
func TestEveryCommandHasExamples(t *testing.T) {
	shown := regexp.MustCompile(`(?m)^\s*parley (.*)$`)
	p := parser(t)
	for _, node := range p.Model.Leaves(true) {
		path := pathOf(node)
		examples := examplesOf(path)
		for _, match := range shown.FindAllStringSubmatch(node.Detail, -1) {
			examples = append(examples, match[1])
		}
		found := len(examplesOf(path)) > 0
		for _, line := range examples {
			found = found || strings.HasPrefix(line, path)
			_, err := p.Parse(shellWords(line))
			if err != nil { // the flags of another example may be in the way; a parser of its own takes long
				_, err = parser(t).Parse(shellWords(line))
			}
			if err != nil {
				t.Errorf("%s: the example %q is none: %v", path, line, err)
			}
		}
		if !found {
			t.Errorf("parley %s shows no example: add one to examplesOf, or to its Help", path)
		}
	}
}

// shellWords splits an example as a shell does, up to where it sends the output or what it says to people.
func shellWords(line string) (words []string) {
	word, quote, begun := "", rune(0), false
	for _, r := range line + " " {
		switch {
		case quote == 0 && (r == '\'' || r == '"'):
			quote, begun = r, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0 || r != ' ':
			word, begun = word+string(r), true
		case begun:
			if word == ">" || word == "<" || word == "|" || word == "#" {
				return words
			}
			words, word, begun = append(words, word), "", false
		default: // two spaces: what follows is a remark
			return words
		}
	}
	return words
}

// TestReference compares docs/cli.md with what the commands say of themselves.
func TestReference(t *testing.T) {
	const file = "../../docs/cli.md"
	want := reference(parser(t).Model)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("docs/cli.md is not what the commands say (%v); write it anew with: go test ./cmd/parley -run TestReference -update", err)
	}
}

// reference is the page about the command line.
func reference(app *kong.Application) string {
	var b strings.Builder
	b.WriteString("# The command line\n\nMade from the commands' own help. Each says the same with `--help`.\n")
	fmt.Fprintf(&b, "\nExit status: %s\n", exitDoc)
	b.WriteString("\nAll but `serve`, `config`, `nats`, `worker`, `backup verify`, `completion` and `version` talk to a server, and take:\n\n")
	table(&b, serverFlags(app))
	for _, node := range app.Leaves(true) {
		fmt.Fprintf(&b, "\n## `parley %s`\n\n%s\n", usageOf(node), node.Help)
		if node.Detail != "" {
			fmt.Fprintf(&b, "\n```text\n%s\n```\n", node.Detail)
		}
		if examples := examplesOf(pathOf(node)); len(examples) > 0 {
			fmt.Fprintf(&b, "\n```sh\nparley %s\n```\n", strings.Join(examples, "\nparley "))
		}
		if pathOf(node) == "serve" || pathOf(node) == "config check" || pathOf(node) == "config doc" {
			b.WriteString("\nIts settings are in [configuration.md](configuration.md).\n")
			continue
		}
		own := []*kong.Flag{}
		for _, f := range node.Flags {
			if !f.Hidden && f.Name != "help" && !isServerFlag(node, f.Name) {
				own = append(own, f)
			}
		}
		if len(own)+len(node.Positional) > 0 {
			b.WriteString("\n")
			rows(&b, node.Positional, own)
		}
	}
	return b.String()
}

// isServerFlag reports whether a command has all the flags about the server, and name is one of them.
func isServerFlag(node *kong.Node, name string) bool {
	has := map[string]bool{}
	for _, f := range node.Flags {
		has[f.Name] = true
	}
	switch name {
	case "server", "admin-key-file", "data":
		return has["server"] && has["admin-key-file"] && has["data"]
	}
	return false
}

func serverFlags(app *kong.Application) (flags []*kong.Flag) {
	for _, node := range app.Leaves(true) {
		for _, f := range node.Flags {
			if isServerFlag(node, f.Name) {
				flags = append(flags, f)
			}
		}
		if len(flags) > 0 {
			return flags
		}
	}
	return nil
}

func table(b *strings.Builder, flags []*kong.Flag) { rows(b, nil, flags) }

func rows(b *strings.Builder, arguments []*kong.Positional, flags []*kong.Flag) {
	b.WriteString("| | |\n|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;")
	for _, p := range arguments {
		fmt.Fprintf(b, "| `%s` | %s |\n", strings.ToUpper(p.Name), cell.Replace(helpOf(p)))
	}
	for _, f := range flags {
		name := "--" + f.Name
		if !f.IsBool() {
			name += " " + strings.Trim(f.FormatPlaceHolder(), `"`)
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", name, cell.Replace(helpOf(f.Value)))
	}
}

// usageOf is a command with its arguments.
func usageOf(node *kong.Node) string {
	usage := pathOf(node)
	for _, p := range node.Positional {
		name := strings.ToUpper(p.Name)
		if !p.Required {
			name = "[" + name + "]"
		}
		usage += " " + name
	}
	return usage
}
