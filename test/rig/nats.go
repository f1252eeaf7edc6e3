package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"parley/internal/clustertest"
)

// NATS is stock nats-servers with the configuration that parley prints for them, as somebody runs them who has brokers with
// --nats-url.
type NATS struct {
	Servers []*NATSServer
	seed    string // file of the operator's seed
}

// NATSServer is one nats-server process. Its methods are for one goroutine at a time.
type NATSServer struct {
	Name    string
	URL     string
	t       testing.TB
	args    []string
	output  *output
	process *process
}

// BuildNATS builds nats-server, the version that is in go.mod, beside b, for StartNATS.
func (b Binary) BuildNATS(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", b.natsServer(), "github.com/nats-io/nats-server/v2")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build nats-server: %w", err)
	}
	return nil
}

func (b Binary) natsServer() string { return filepath.Join(filepath.Dir(string(b)), "nats-server") }

// StartNATS starts n of the servers that BuildNATS has built. When the test ends they are killed.
func (b Binary) StartNATS(t testing.TB, n int) *NATS {
	t.Helper()
	dir, program := t.TempDir(), b.natsServer()
	data := filepath.Join(dir, "data")
	all := &NATS{seed: filepath.Join(data, "secrets", "operator.seed")}
	addrs := clustertest.FreeAddrs(t, 2*n)
	clients, routes := addrs[:n], addrs[n:]
	for i := range n {
		name := fmt.Sprint("n", i+1)
		args := []string{"nats", "config", "--data", data, "--listen", clients[i], "--dir", filepath.Join(dir, name)}
		if n > 1 {
			args = append(args, "--cluster-listen", routes[i], "--routes", strings.Join(routes, ","))
		}
		printed := b.Run(t, Command{Args: args})
		if printed.Code != 0 {
			t.Fatalf("parley nats config: exit %d\n%s", printed.Code, printed.Stderr)
		}
		s := &NATSServer{
			Name: name, URL: "nats://" + clients[i], t: t, output: &output{},
			args: []string{program, "--config", WriteFile(t, name+".conf", []byte(printed.Stdout)), "--name", name},
		}
		t.Cleanup(func() {
			s.Kill()
			s.output.saveOnFailure(t)
		})
		s.Start()
		all.Servers = append(all.Servers, s)
	}
	return all
}

// Options are those of a broker that uses the servers.
func (n *NATS) Options(t testing.TB) Options {
	t.Helper()
	urls := make([]string, len(n.Servers))
	for i, s := range n.Servers {
		urls[i] = s.URL
	}
	return Options{
		Data: filepath.Join(t.TempDir(), "data"),
		Args: []string{"--nats-url", strings.Join(urls, ","), "--operator-seed-file", n.seed},
	}
}

// Start starts the server, again after Kill, and does not wait.
func (s *NATSServer) Start() {
	s.t.Helper()
	p, err := startProcess(exec.Command(s.args[0], s.args[1:]...), s.output)
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = p
}

// Kill ends the server at once: kill -9.
func (s *NATSServer) Kill() {
	if s.process.running() {
		s.process.kill()
	}
}

// Freeze stops the server without ending it, as a machine does that the network has lost: connections stay, and nothing
// answers. Thaw lets it go on.
func (s *NATSServer) Freeze() { s.process.signal(syscall.SIGSTOP) }

// Thaw undoes Freeze.
func (s *NATSServer) Thaw() { s.process.signal(syscall.SIGCONT) }

// Await returns once the server takes connections, and refuses one that has no credentials.
func (s *NATSServer) Await() {
	s.t.Helper()
	for deadline := time.Now().Add(Patience); ; {
		_, err := nats.Connect(s.URL, nats.NoReconnect())
		if err != nil && strings.Contains(strings.ToLower(err.Error()), "authorization") {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s was not ready in time: %v\n%s", s.Name, err, s.output)
		}
	}
}
