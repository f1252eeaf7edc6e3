package rig

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a child in a process group of its own, with its output kept.
type process struct {
	cmd    *exec.Cmd
	output *output
	done   chan struct{} // closed when the child has ended
}

func startProcess(cmd *exec.Cmd, out *output) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = out
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, output: out, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // the exit status is in ProcessState
	}()
	return p, nil
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends s to the child's whole group; one that has ended already is not an error.
func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }

// wait returns the exit status, -1 if a signal ended the child, once it has ended.
func (p *process) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(Patience):
		p.signal(syscall.SIGQUIT) // a Go program then says where its goroutines are
		<-p.done
		t.Fatalf("%s did not end:\n%s", p.cmd.Path, p.output)
		return -1
	}
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// output collects what processes write, and keeps it over restarts.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// failOnRace makes the test fail if the race detector of a child spoke.
func (o *output) failOnRace(t testing.TB) {
	if text := o.String(); strings.Contains(text, "WARNING: DATA RACE") {
		t.Errorf("the race detector found a race in the server:\n%s", text)
	}
}

// saveOnFailure writes what was collected where a person finds it after a failed test.
func (o *output) saveOnFailure(t testing.TB) {
	if !t.Failed() {
		return
	}
	f, err := os.CreateTemp("", "parley-test-*.log")
	if err != nil {
		t.Log(err)
		return
	}
	defer f.Close()
	_, _ = f.WriteString(o.String())
	t.Logf("the server's log: %s", f.Name())
}
