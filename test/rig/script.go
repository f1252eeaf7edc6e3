package rig

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Script runs a client in another language to its end and returns the JSON objects that it prints, one a line. file is
// its name in the directory of the foreign clients.
func Script(t testing.TB, clients, file string, args ...string) (printed []Frame) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*Patience)
	defer cancel()
	interpreter := "node"
	if strings.HasSuffix(file, ".py") {
		interpreter = findPython(t)
	}
	cmd := exec.CommandContext(ctx, interpreter, append([]string{filepath.Join(clients, file)}, args...)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v; run `make deps`\n%s%s", file, err, out, errs.String())
	}
	for line := range strings.Lines(string(out)) {
		var f Frame
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%s printed %q: %v", file, line, err)
		}
		printed = append(printed, f)
	}
	return printed
}
