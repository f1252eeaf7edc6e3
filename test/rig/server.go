package rig

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Options say how a Server is started. The zero value is a server with a fresh data directory.
type Options struct {
	Data string   // data directory. Defaults to a temporary one, removed after the test.
	Args []string // appended to the command line
	Env  []string // KEY=VALUE

	Unready bool // do not wait until it is ready, only until it answers
}

// Server is a `parley serve` process on ports that the system chose. Its methods are for one goroutine at a time.
type Server struct {
	Data string // the data directory

	binary  Binary
	options Options
	t       testing.TB
	output  *output
	process *process
	info    info
	clients *gate // nil until StableAddr is called
	nats    *gate // nil until StableNATS is called
}

// info is what a running server says of itself.
type info struct {
	Listen []string `json:"listen"` // host:port
	Admin  string   `json:"admin"`  // http://host:port
	NATS   string   `json:"nats"`   // nats://host:port
}

// Start starts a server and returns once it is ready. When the test ends the server is killed if it still runs, and a
// race that its detector saw fails the test.
func (b Binary) Start(t testing.TB, options Options) *Server {
	t.Helper()
	s, refusal := b.TryStart(t, options)
	if refusal != nil {
		t.Fatalf("parley serve ended with status %d before it was ready:\n%s", refusal.Code, refusal.Stderr)
	}
	return s
}

// TryStart is Start for servers that may refuse. What a refusing one left behind comes back instead of it.
func (b Binary) TryStart(t testing.TB, options Options) (*Server, *Result) {
	t.Helper()
	if options.Data == "" {
		options.Data = filepath.Join(t.TempDir(), "data")
	}
	s := b.prepare(t, options)
	if !s.start() {
		return nil, &Result{Stderr: s.output.String(), Code: s.process.wait(t)}
	}
	return s, nil
}

// prepare returns a server that is not started yet.
func (b Binary) prepare(t testing.TB, options Options) *Server {
	s := &Server{Data: options.Data, binary: b, options: options, t: t, output: &output{}}
	t.Cleanup(func() {
		if s.process != nil && s.process.running() {
			s.process.kill()
		}
		s.output.failOnRace(t)
		s.output.saveOnFailure(t)
	})
	return s
}

// Restart starts the server again on the same data, after Stop or Kill.
func (s *Server) Restart() {
	s.t.Helper()
	if !s.start() {
		s.t.Fatalf("parley serve did not come back:\n%s", s.output)
	}
}

// start returns whether the server has become ready; if not, it has ended.
func (s *Server) start() bool {
	s.t.Helper()
	s.launch()
	if !s.awaitReady() {
		return false
	}
	s.openGates()
	return true
}

// launch starts the process.
func (s *Server) launch() {
	s.t.Helper()
	_ = os.Remove(filepath.Join(s.Data, "admin.url")) // one that a killed server left would lead nowhere
	args := append([]string{
		"serve", "--data", s.Data,
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
	}, s.options.Args...)
	if !slices.Contains(args, "--nats-url") {
		args = append(args, "--nats-listen", "127.0.0.1:0")
	}
	cmd := exec.Command(string(s.binary), args...)
	cmd.Env = environment(s.options.Env)
	p, err := startProcess(cmd, s.output)
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = p
}

// Stop asks the server to end, as a service manager does, and returns its exit status once it has drained.
func (s *Server) Stop() int {
	s.t.Helper()
	s.BeginStop()
	return s.process.wait(s.t)
}

// BeginStop asks the server to end and does not wait.
func (s *Server) BeginStop() {
	s.closeGates()
	s.process.signal(syscall.SIGTERM)
}

// Wait returns the exit status of a server that is ending.
func (s *Server) Wait() int {
	s.t.Helper()
	return s.process.wait(s.t)
}

// Kill ends the server at once, as a crash does: kill -9.
func (s *Server) Kill() {
	s.closeGates()
	s.process.kill()
}

// PID is the server's process.
func (s *Server) PID() int { return s.process.cmd.Process.Pid }

// Log returns everything that the server has written, over all its starts.
func (s *Server) Log() string { return s.output.String() }

// Addr is the host:port for clients. It changes with a Restart.
func (s *Server) Addr() string { return s.info.Listen[0] }

// URL is the base URL for clients over HTTP. It changes with a Restart.
func (s *Server) URL() string { return "http://" + s.Addr() }

// AdminURL is the base URL of the admin listener. It changes with a Restart.
func (s *Server) AdminURL() string { return s.info.Admin }

// NATSURL is where services connect. It changes with a Restart.
func (s *Server) NATSURL() string { return s.info.NATS }

// StableAddr is a host:port for clients that stays the same over restarts; while the server is down connections wait.
func (s *Server) StableAddr() string {
	s.t.Helper()
	if s.clients == nil {
		s.clients = newGate(s.t)
		s.openGates()
	}
	return s.clients.addr()
}

// StableNATS is StableAddr for services.
func (s *Server) StableNATS() string {
	s.t.Helper()
	if s.nats == nil {
		s.nats = newGate(s.t)
		s.openGates()
	}
	return "nats://" + s.nats.addr()
}

func (s *Server) openGates() {
	if s.clients != nil {
		s.clients.lead(s.Addr())
	}
	if s.nats != nil {
		s.nats.lead(strings.TrimPrefix(s.NATSURL(), "nats://"))
	}
}

func (s *Server) closeGates() {
	for _, g := range []*gate{s.clients, s.nats} {
		if g != nil {
			g.lead("")
		}
	}
}

// AdminKey is the key of the admin API, which the server wrote into its data directory.
func (s *Server) AdminKey() string {
	s.t.Helper()
	key, err := os.ReadFile(filepath.Join(s.Data, "admin.key"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(key))
}

// awaitReady returns true once the server takes clients, whose addresses it learns, and false if it ends first.
func (s *Server) awaitReady() bool {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for !s.ready(ctx) {
		select {
		case <-s.process.done:
			return false
		case <-ctx.Done():
			s.process.signal(syscall.SIGQUIT) // a Go program then says where its goroutines are
			<-s.process.done
			s.t.Fatalf("parley serve was not ready in time:\n%s", s.output)
		case <-time.After(10 * time.Millisecond): // between two questions
		}
	}
	return true
}

func (s *Server) ready(ctx context.Context) bool {
	url, err := os.ReadFile(filepath.Join(s.Data, "admin.url"))
	if err != nil {
		return false
	}
	admin := strings.TrimSpace(string(url))
	health := "/readyz"
	if s.options.Unready {
		health = "/healthz"
	}
	if status, _, err := get(ctx, admin+health, ""); err != nil || status != http.StatusOK {
		return false
	}
	_, body, err := get(ctx, admin+"/admin/v1/info", s.AdminKey())
	if err != nil || json.Unmarshal(body, &s.info) != nil {
		return false
	}
	return len(s.info.Listen) > 0 && !slices.Contains(s.info.Listen, "") && s.info.NATS != ""
}

// CLI runs the command line against this server, the way a person on the same machine would.
func (s *Server) CLI(args ...string) Result {
	s.t.Helper()
	return s.binary.Run(s.t, Command{Args: args, Env: []string{
		"PARLEY_SERVER=" + s.AdminURL(), "PARLEY_ADMIN_KEY=" + s.AdminKey(),
	}})
}

// MustCLI is CLI for commands that have to succeed. It returns what they printed, without the last newline.
func (s *Server) MustCLI(args ...string) string {
	s.t.Helper()
	r := s.CLI(args...)
	if r.Code != 0 {
		s.t.Fatalf("parley %s: exit %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return strings.TrimSuffix(r.Stdout, "\n")
}
