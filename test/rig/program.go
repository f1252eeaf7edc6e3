package rig

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Program is any process that a test needs beside the server, such as a worker.
type Program struct {
	t       testing.TB
	process *process
	output  *output
}

// Program starts this binary with another command than serve. It is killed when the test ends.
func (b Binary) Program(t testing.TB, env []string, args ...string) *Program {
	t.Helper()
	cmd := exec.Command(string(b), args...)
	cmd.Env = environment(env)
	return StartProgram(t, cmd)
}

// StartProgram starts cmd. It is killed when the test ends, and what it wrote is shown when the test has failed.
func StartProgram(t testing.TB, cmd *exec.Cmd) *Program {
	t.Helper()
	out := &output{}
	p, err := startProcess(cmd, out)
	if err != nil {
		t.Fatalf("start %s: %v; run `make deps`", cmd.Path, err)
	}
	t.Cleanup(func() {
		p.kill()
		out.failOnRace(t)
		if t.Failed() {
			t.Logf("%s wrote:\n%s", cmd.Path, out)
		}
	})
	return &Program{t, p, out}
}

// Kill ends the program as a crash does: kill -9.
func (p *Program) Kill() { p.process.kill() }

// Stop asks the program to end and returns its exit status.
func (p *Program) Stop() int {
	p.t.Helper()
	p.process.signal(syscall.SIGTERM)
	return p.process.wait(p.t)
}

// Log returns what the program has written.
func (p *Program) Log() string { return p.output.String() }

// Await waits until the program has written text.
func (p *Program) Await(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(Patience); !strings.Contains(p.Log(), text); {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain for %q:\n%s", text, p.Log())
		}
		<-time.After(10 * time.Millisecond) // between two looks
	}
}
