package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/fault"
)

// console is what a command sees of the world. Results go to stdout, everything else to stderr.
type console struct {
	ctx            context.Context // of the whole program: kong's Run methods take no other
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
	self           string // how the user can call this program again
}

// self returns how this program was called, so that what it prints can be pasted.
func self() string {
	if path, err := os.Executable(); err == nil && strings.Contains(path, "/go-build") {
		return "go run ./cmd/parley"
	}
	return "parley"
}

// tell writes to stderr. That it can't is nothing that anybody could be told.
func (c *console) tell(format string, args ...any) { _, _ = fmt.Fprintf(c.stderr, format, args...) }

// complain says what went wrong, and what to do about it.
func (c *console) complain(err error) {
	message, fix := err.Error(), fault.Fix(err)
	if code := fault.CodeOf(err); code != fault.Internal {
		message = fault.Message(err)
	}
	c.tell("parley: %s\n", printable(message))
	for line := range strings.Lines(fix) {
		c.tell("  %s\n", printable(strings.TrimRight(line, "\n")))
	}
}

// hint says something to a person that is not the result.
func (c *console) hint(format string, args ...any) {
	c.tell(format+"\n", args...)
}

// printLine prints a result.
func (c *console) printLine(s string) error {
	_, err := fmt.Fprintln(c.stdout, s)
	return err
}

// printJSON prints one document for programs.
func (c *console) printJSON(v any) error {
	b, err := json.Marshal(v, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return c.printLine(string(b))
}

// table prints rows for people; the first one is the heading.
func (c *console) table(rows ...[]string) error {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = printable(cell)
		}
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// printable replaces what could make a terminal do something: much of what is printed was said by others.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\n' {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// when writes a time for people.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
