package main

import (
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Bash  completionBashCmd  `cmd:"" help:"Print a script for bash."`
	Zsh   completionZshCmd   `cmd:"" help:"Print a script for zsh."`
	Fish  completionFishCmd  `cmd:"" help:"Print a script for fish."`
	Words completionWordsCmd `cmd:"" hidden:"" help:"Print how the last of the words may go on. The scripts ask this."`
}

// Help says how to install it.
func (completionCmd) Help() string {
	return `The script asks parley itself what may follow, so that it never has to be made anew.

  parley completion bash > /etc/bash_completion.d/parley
  parley completion zsh > "${fpath[1]}/_parley"
  parley completion fish > ~/.config/fish/completions/parley.fish`
}

type (
	completionBashCmd  struct{}
	completionZshCmd   struct{}
	completionFishCmd  struct{}
	completionWordsCmd struct {
		Words []string `arg:"" optional:"" help:"What stands on the line behind the program's name; the last one may be empty."`
	}
)

// Run prints the script.
func (completionBashCmd) Run(c *console) error {
	_, err := io.WriteString(c.stdout, `_parley() {
  local IFS=$'\n'
  COMPREPLY=($(parley completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _parley parley
`)
	return err
}

// Run prints the script.
func (completionZshCmd) Run(c *console) error {
	_, err := io.WriteString(c.stdout, `#compdef parley
_parley() {
  local -a found
  found=(${(f)"$(parley completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
  (( $#found )) && compadd -a found || _files
}
if [ "$funcstack[1]" = "_parley" ]; then
  _parley "$@"
else
  compdef _parley parley
fi
`)
	return err
}

// Run prints the script.
func (completionFishCmd) Run(c *console) error {
	_, err := io.WriteString(c.stdout, `complete -c parley -a '(parley completion words -- (commandline -opc)[2..-1] (commandline -ct | string collect --allow-empty) 2>/dev/null)'
`)
	return err
}

// Run prints the words that fit, one a line.
func (cmd *completionWordsCmd) Run(c *console, command *kong.Context) error {
	for _, word := range completions(command.Model.Node, cmd.Words) {
		if err := c.printLine(word); err != nil {
			return err
		}
	}
	return nil
}

// completions returns how the last of words may go on, on the command line that the others begin.
func completions(node *kong.Node, words []string) (found []string) {
	if len(words) == 0 {
		words = []string{""}
	}
	flags := slices.Clone(node.Flags)
	var open *kong.Flag // wants a value
	for _, word := range words[:len(words)-1] {
		switch {
		case open != nil:
			open = nil
		case strings.HasPrefix(word, "-"):
			open = valueFlag(flags, word)
		default:
			if child := childOf(node, word); child != nil {
				node, flags = child, append(flags, child.Flags...)
			}
		}
	}
	last := words[len(words)-1]
	switch {
	case open != nil:
		found = open.EnumSlice()
	case strings.HasPrefix(last, "-"):
		for _, f := range flags {
			if !f.Hidden {
				found = append(found, "--"+f.Name)
			}
		}
	default:
		for _, child := range node.Children {
			if !child.Hidden {
				found = append(found, child.Name)
			}
		}
	}
	found = slices.DeleteFunc(found, func(word string) bool { return word == "" || !strings.HasPrefix(word, last) })
	slices.Sort(found)
	return slices.Compact(found)
}

// valueFlag returns the flag that a word names if its value is still to come.
func valueFlag(flags []*kong.Flag, word string) *kong.Flag {
	for _, f := range flags {
		if word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short) {
			if f.IsBool() || f.IsCounter() {
				return nil
			}
			return f
		}
	}
	return nil
}

func childOf(node *kong.Node, name string) *kong.Node {
	i := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == name })
	if i < 0 {
		return nil
	}
	return node.Children[i]
}
