package test

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"parley/test/rig"
)

// TestTour walks the README's tour: dev mode, a chat, the two example programs, the command line.
func TestTour(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{Args: []string{"--dev"}})
	alice, bob := printed(t, server, "ALICE"), printed(t, server, "BOB")

	chat := rig.Dial(t, server.Addr(), "/?"+rig.Query("token", alice))
	session := chat.Next().Text("session_id")
	chat.Send(rig.Frame{"type": "chat", "content": "Hello out there"})
	said := ""
	for f := chat.Next(); f.Type() != "stream-end"; f = chat.Next() {
		said += f.Text("token")
	}
	if said != "Hello out there" {
		t.Errorf("the chat says %q", said)
	}
	if got := server.MustCLI("session", "show", "--tenant", "demo", session); !strings.Contains(got, "alice: Hello out there") || !strings.Contains(got, "AI: Hello out there") {
		t.Errorf("session show:\n%s", got)
	}

	service := example(t, "service", "-url", server.NATSURL(), "-creds", filepath.Join(server.Data, "demo.creds"))
	service.expect("listening on channel.general")
	url := "ws://" + server.Addr() + "/v1/ws"
	listener := example(t, "agent", "-url", url, "-token", bob)
	awaitOnline(t, server, "bob")
	speaker := example(t, "agent", "-url", url, "-token", alice)
	speaker.say("Hello from Alice")
	speaker.expect(`alice: "Hello from Alice"`, "on disk as 1", `a service: "Welcome, alice!"`)
	speaker.say("@bob just between us")
	speaker.expect("on disk as 1")
	listener.expect(`alice: "Hello from Alice"`, `a service: "Welcome, alice!"`, `alice, to you alone: "just between us"`)

	if got := server.MustCLI("channel", "publish", "--tenant", "demo", "general", "hello from the command line"); got == "" {
		t.Error("channel publish printed no id")
	}
	speaker.expect(`a service: "hello from the command line"`)
	history := server.MustCLI("channel", "history", "--tenant", "demo", "general")
	for _, want := range []string{"Hello from Alice", "Welcome, alice!", "hello from the command line"} {
		if !strings.Contains(history, want) {
			t.Errorf("the history lacks %q:\n%s", want, history)
		}
	}
	if got := server.MustCLI("agent", "list", "--tenant", "demo"); !regexp.MustCompile(`(?m)^alice +online +1 `).MatchString(got) {
		t.Errorf("agent list:\n%s", got)
	}
	speaker.leave()
	listener.leave()
}

// printed returns a shell variable that dev mode prints, which is after the server is ready.
func printed(t *testing.T, server *rig.Server, name string) (value string) {
	t.Helper()
	pattern := regexp.MustCompile(`(?m)^ *` + name + `='([^']+)'`)
	await(t, "a printed "+name, func() bool {
		m := pattern.FindStringSubmatch(server.Log())
		if m != nil {
			value = m[1]
		}
		return m != nil
	})
	return value
}

// awaitOnline returns when the agent is online.
func awaitOnline(t *testing.T, server *rig.Server, agent string) {
	t.Helper()
	await(t, agent+" online", func() bool {
		return strings.Contains(server.CLI("agent", "show", "--tenant", "demo", agent).Stdout, "online")
	})
}

// program is a running example.
type program struct {
	t     *testing.T
	stdin io.WriteCloser
	lines chan string
	ended chan error
}

// example builds and starts one of the examples.
func example(t *testing.T, name string, args ...string) *program {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", binary, "../examples/"+name).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	p := &program{t: t, lines: make(chan string, 1000), ended: make(chan error, 1)}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
		p.ended <- cmd.Wait()
	}()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

func (p *program) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// expect reads lines until each of the given texts has appeared, in any order.
func (p *program) expect(texts ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), rig.Patience)
	defer cancel()
	var got []string
	for len(texts) > 0 {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("ended without %q; it said %q", texts, got)
			}
			got = append(got, line)
			for i, text := range texts {
				if strings.Contains(line, text) {
					texts = append(texts[:i], texts[i+1:]...)
					break
				}
			}
		case <-ctx.Done():
			p.t.Fatalf("no %q; it said %q", texts, got)
		}
	}
}

// leave ends the program's input, which makes it go.
func (p *program) leave() {
	p.t.Helper()
	if err := p.stdin.Close(); err != nil {
		p.t.Fatal(err)
	}
	for range p.lines {
	}
	if err := <-p.ended; err != nil {
		p.t.Errorf("the program ended with %v", err)
	}
}
