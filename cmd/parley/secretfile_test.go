package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretsAreReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	var used []string
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	f := &secretFile{what: "TURN", path: path, held: []byte("first-canary"), use: func(b []byte) { used = append(used, string(b)) }}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.reread(log) // it is not there
	f.reread(log) // and that was said
	write(" \n")
	f.reread(log)
	write("first-canary\n")
	f.reread(log)
	write("second-canary\n")
	f.reread(log)
	f.reread(log)
	write("")
	f.reread(log)
	if got := strings.Join(used, ","); got != "second-canary" {
		t.Errorf("used %q", got)
	}
	if n := strings.Count(out.String(), "can't be read again"); n != 3 {
		t.Errorf("%d warnings", n)
	}
	if n := strings.Count(out.String(), "a new secret is in use"); n != 1 || strings.Contains(out.String(), "canary") {
		t.Errorf("the log:\n%s", out.String())
	}
}
