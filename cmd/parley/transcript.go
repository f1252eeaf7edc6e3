package main

import (
	"fmt"
	"io"
	"strings"

	"parley/sessions"
)

// transcript prints the events of a session for people: answers word by word as they come.
type transcript struct {
	out io.Writer
	err error // the first; nothing is printed after it

	answer  string // the one whose words stand on the last line, "" when none does
	printed int    // how many bytes of the newest answer were printed
	newest  string // that answer
}

// tell prints one event.
func (t *transcript) tell(e *sessions.Event) {
	switch e.Kind {
	case sessions.Said:
		t.line(e, "%s: %s", e.From, e.Text)
	case sessions.Started:
		t.begin(e)
	case sessions.Chunk:
		if t.answer != e.ID {
			t.begin(e)
		}
		t.words(e.Text)
	case sessions.ToolCall:
		t.line(e, "-- the AI uses %s: %s --", e.Tool.Name, e.Tool.Arguments)
	case sessions.ToolResult:
		t.line(e, "-- %s gives: %s --", e.Tool.Name, e.Tool.Result)
	case sessions.Ended:
		t.end(e)
	case sessions.Escalated:
		t.line(e, "-- %s asks for a human%s --", orUser(e.From), because(e.Text))
	case sessions.Claimed:
		t.line(e, "-- %s has taken over --", e.From)
	case sessions.Released:
		t.line(e, "-- %s has handed back to the AI --", e.From)
	case sessions.Closed:
		t.line(e, "-- closed%s --", because(e.Text))
	case sessions.Created, sessions.Resumed, sessions.Typing:
	}
}

func orUser(name string) string {
	if name == "" {
		return "the user"
	}
	return name
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// begin starts the line on which the words of an answer appear.
func (t *transcript) begin(e *sessions.Event) {
	t.breakLine()
	if t.newest != e.ID {
		t.newest, t.printed = e.ID, 0
	}
	t.write(when(e.Time) + "  AI: ")
	t.answer = e.ID
}

func (t *transcript) words(text string) {
	t.printed += len(text)
	t.write(indented(text))
}

// end prints what is missing of an answer: all of it when its words are no longer stored one by one.
func (t *transcript) end(e *sessions.Event) {
	if e.ID != "" && t.answer != e.ID {
		t.begin(e)
	}
	if e.ID != "" && t.printed < len(e.Text) {
		t.words(e.Text[t.printed:])
	}
	t.breakLine()
	switch e.Status {
	case sessions.Failed:
		why := ""
		if e.Error != nil {
			why = e.Error.Message
		}
		t.line(e, "-- the answer failed%s --", because(why))
	case sessions.Stopped, sessions.Interrupted:
		t.line(e, "-- the answer was %s --", e.Status)
	case sessions.Complete:
	}
	for _, q := range e.FollowUps {
		t.line(e, "-- suggested: %s --", q)
	}
}

// line prints something on a line of its own.
func (t *transcript) line(e *sessions.Event, format string, args ...any) {
	t.breakLine()
	t.write(when(e.Time) + "  " + indented(fmt.Sprintf(format, args...)) + "\n")
}

// breakLine ends the line on which an answer is written, if one is.
func (t *transcript) breakLine() {
	if t.answer != "" {
		t.answer = ""
		t.write("\n")
	}
}

// indented is s without anything that a terminal could take for an order. Lines behind the first are moved in, so that
// nobody's words look like somebody else's.
func indented(s string) string {
	return strings.ReplaceAll(printable(s), "\n", "\n"+strings.Repeat(" ", len("2006-01-02 15:04:05Z  ")))
}

func (t *transcript) write(s string) {
	if t.err == nil {
		_, t.err = io.WriteString(t.out, s)
	}
}
