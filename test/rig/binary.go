package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Binary is the path of a built parley.
type Binary string

// Build builds parley under the race detector into dir.
func Build(ctx context.Context, dir string) (Binary, error) {
	path := filepath.Join(dir, "parley")
	cmd := exec.CommandContext(ctx, "go", "build", "-race", "-o", path, "parley/cmd/parley")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build parley: %w", err)
	}
	return Binary(path), nil
}

// Result is what a finished command left behind.
type Result struct {
	Stdout, Stderr string
	Code           int // exit status
}

// Command is one run of the binary that ends by itself.
type Command struct {
	Args  []string
	Env   []string // KEY=VALUE, on top of a nearly empty environment
	Stdin string
	Dir   string // working directory. Defaults to a temporary one.
}

// Run runs c to its end. A command that does not end within Patience fails the test.
func (b Binary) Run(t testing.TB, c Command) Result {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, string(b), c.Args...)
	cmd.Dir, cmd.Env = c.Dir, environment(c.Env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewBufferString(c.Stdin), &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("parley %q: %v\n%s", c.Args, err, stderr.String())
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}

// environment keeps what a process needs to run at all, so that nothing of the machine's reaches the broker.
func environment(more []string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "GORACE=halt_on_error=0 atexit_sleep_ms=0"}
	return append(env, more...)
}
