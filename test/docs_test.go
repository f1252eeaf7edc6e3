package test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"parley/internal/fault"
	"parley/test/rig"
)

func TestEveryCodeIsDocumented(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../internal/fault/fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	page := read(t, "../docs/errors.md")
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Code" {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		codes++
		row := regexp.MustCompile("(?m)^\\| `" + code + "` \\| [^|]+ \\| (\\d+|–) \\|").FindStringSubmatch(page)
		if row == nil {
			t.Errorf("docs/errors.md does not explain %s", code)
		} else if want := strconv.Itoa(fault.HTTPStatus(fault.Code(code))); row[1] != want && row[1] != "–" {
			t.Errorf("docs/errors.md says that %s is HTTP %s; it is %s", code, row[1], want)
		}
		return true
	})
	if codes == 0 {
		t.Error("found no codes at all")
	}
}

func TestEveryDependencyHasAReason(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	page := read(t, "../docs/dependencies.md")
	for module := range strings.FieldsSeq(string(out)) {
		if !strings.Contains(page, "`"+module+"`") {
			t.Errorf("docs/dependencies.md does not say why %s is needed", module)
		}
	}
}

// TestEverySettingIsDocumented compares the page with what the program says of itself.
func TestEverySettingIsDocumented(t *testing.T) {
	t.Parallel()
	r := parley.Run(t, rig.Command{Args: []string{"config", "doc"}})
	if r.Code != 0 {
		t.Fatalf("exit %d: %s", r.Code, r.Stderr)
	}
	page := read(t, "../docs/configuration.md")
	settings := regexp.MustCompile(`(?m)^# \$(PARLEY_\w+), (--[\w-]+)\n(\w+):(?: (.*))?$`).FindAllStringSubmatch(r.Stdout, -1)
	if len(settings) < 10 {
		t.Errorf("found only %d settings", len(settings))
	}
	for _, s := range settings {
		env, flag, key, value := s[1], s[2], s[3], s[4]
		if !strings.Contains(page, fmt.Sprintf("| `%s` | `%s` | `%s` | `%s", key, env, flag, value)) {
			t.Errorf("docs/configuration.md does not have %s, %s, %s, default %s", key, env, flag, value)
		}
	}
	if rows := strings.Count(page, "| `PARLEY_"); rows != len(settings) {
		t.Errorf("docs/configuration.md has %d settings, parley has %d", rows, len(settings))
	}
}

// TestLinksLeadSomewhere follows the relative links of all pages.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(read(t, path), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDecisionsAreNumbered(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/adr/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, page := range pages { // in the order of their names
		number := fmt.Sprintf("%04d", i) // the template is 0000
		if !strings.HasPrefix(filepath.Base(page), number+"-") || i > 0 && !strings.HasPrefix(read(t, page), "# "+number+": ") {
			t.Errorf("%s is not decision %s", page, number)
		}
	}
}

// TestCommandsOfTheSessionsPage runs what docs/sessions.md shows, line by line, on a conversation that is waiting for a human.
func TestCommandsOfTheSessionsPage(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	service := acme.service("desk")
	ann, id := acme.chat("ann")
	ann.Send(rig.Frame{"type": "human-escalation", "reason": "x"})
	awaitType(ann, "human-escalation-response")
	var last []string // what goes on until the conversation is closed
	lines := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(read(t, "../docs/sessions.md"), -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "chat-WzMJ0yqXQm9S", id)) {
			lines++
			words := shellWords(strings.TrimSpace(line))
			switch {
			case words[0] == "parley" && words[2] == "tail":
				last = words[1:]
			case words[0] == "parley":
				acme.MustCLI(words[1:]...)
			case words[0] == "curl":
				path := regexp.MustCompile(`/admin/v1/.*`).FindString(words[len(words)-1])
				if res := rig.Do(t, "POST", acme.AdminURL()+path, acme.AdminKey(), words[slices.Index(words, "-d")+1]); res.Status != http.StatusOK {
					t.Errorf("%s: %d %s", line, res.Status, res.Body)
				}
			case words[0] == "nats" && words[3] == "sub":
				service.Listen(words[4])
			case words[0] == "nats" && words[3] == "request":
				m, err := service.Request(words[4], []byte(words[5]), rig.Patience)
				if err != nil || frameOf(t, m.Data)["ok"] != true {
					t.Errorf("%s: %v %s", line, err, m.Data)
				}
			default:
				t.Errorf("nobody knows how to run %q", line)
			}
		}
	}
	acme.MustCLI("session", "close", "--tenant", "acme", id)
	if got := acme.MustCLI(last...); strings.Count(got, "otto: Hello, this is Otto.") != 2 || strings.Count(got, "otto has taken over") != 2 {
		t.Errorf("after %d lines the conversation was:\n%s", lines, got)
	}
}

// shellWords splits a simple command line as a shell does.
func shellWords(line string) (words []string) {
	for _, m := range regexp.MustCompile(`'([^']*)'|"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		words = append(words, m[1]+m[2]+m[3])
	}
	return words
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
