package echo

import (
	"context"
	"strings"
	"testing"

	"parley/sessions/worker"
)

func TestAnswer(t *testing.T) {
	e, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	twice, err := New(Config{Repeat: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		echo                *Echo
		text, want, command string
	}{
		{e, "hello, world", "hello, world", ""},
		{e, "", "", ""},
		{twice, "a b", "a b a b", ""},
		{e, "/repeat 3 a b", "a b a b a b", "/repeat"},
		{twice, "/repeat 2 a b", "a b a b a b a b", "/repeat"},
		{e, "/repeat x", "x", "/repeat"},
		{e, "/repeat 0 x", "", "/repeat"},
		{e, "/repeat -1 x", "", "/repeat"},
		{e, "/repeat 99999999999 x", strings.Repeat("x ", maxAnswer/2-1) + "x", "/repeat"},
		{e, "/tool x", "x", "/tool"},
		{e, "/fail", "", "/fail"},
	} {
		if said, command := c.echo.answer(c.text); said != c.want || command != c.command {
			t.Errorf("%q: %.50q, %q", c.text, said, command)
		}
	}
}

func TestContinue(t *testing.T) {
	e, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for partial, want := range map[string]bool{"": true, "one tw": true, "one two": true, "two": false, "one two three": false} {
		if got := e.Continue(&worker.Request{Text: "one two", Partial: partial}); got != want {
			t.Errorf("%q: %v", partial, got)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []Config{{Rate: -1}, {Rate: 1e7}, {Repeat: -1}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

func TestEcho(t *testing.T) {
	e, err := New(Config{Rate: 1e5})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text, partial, want string
		tools               int
		fails               bool
	}{
		{text: "hello,  world\n", want: "hello,  world\n"},
		{text: "one two three", partial: "one t", want: "wo three"},
		{text: "one two three", partial: "something else", want: "one two three"},
		{text: "/tool x y", want: "x y", tools: 1},
		{text: "/fail", fails: true},
	} {
		said, err := worker.Rehearsal{Request: &worker.Request{Text: c.text, Partial: c.partial}}.Run(t.Context(), e.Answer)
		if said.Text != c.want || len(said.Tools) != c.tools || (err != nil) != c.fails {
			t.Errorf("%q: %+v, %v", c.text, said, err)
		}
		if !c.fails && (len(said.FollowUps) == 0 || said.Output == 0) {
			t.Errorf("%q has nothing to follow it up, or cost nothing: %+v", c.text, said)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (worker.Rehearsal{Request: &worker.Request{Text: "one two"}}).Run(ctx, e.Answer); err == nil {
		t.Error("goes on after it was stopped")
	}
}
