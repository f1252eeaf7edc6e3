package rig

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Foreign is a client in another language that behaves, frame by frame, as the published clients of the agents dialect
// do. The base is what they are configured with: ws://host:port/v1.
type Foreign struct {
	t   testing.TB
	ask func(request) (reply, error)
}

type request struct {
	ID       int            `json:"id"`
	Op       string         `json:"op"`
	Base     string         `json:"base,omitempty"`
	Token    string         `json:"token"`
	Channel  string         `json:"channel,omitempty"`
	Content  any            `json:"content,omitempty"`
	Metadata map[string]any `json:"metadata,omitempty"`
}

type reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

// Connect opens the client's connection. channel may be empty.
func (f *Foreign) Connect(base, token, channel string) error {
	_, err := f.call(request{Op: "connect", Base: base, Token: token, Channel: channel})
	return err
}

// Send sends a message and returns its ACK; the error is the text of the ERROR frame.
func (f *Foreign) Send(content any, metadata map[string]any) (Frame, error) {
	return f.call(request{Op: "send", Content: content, Metadata: metadata})
}

// MustSend is Send for messages that have to be acknowledged.
func (f *Foreign) MustSend(content any, metadata map[string]any) Frame {
	f.t.Helper()
	ack, err := f.Send(content, metadata)
	if err != nil {
		f.t.Fatalf("send %v: %v", content, err)
	}
	return ack
}

// Message returns the next message that the client was given.
func (f *Foreign) Message() Frame {
	f.t.Helper()
	return f.must("message")
}

// Closed waits for the connection to end and returns the close code that the client saw.
func (f *Foreign) Closed() int {
	f.t.Helper()
	code, _ := f.must("close")["code"].(float64)
	return int(code)
}

// Disconnect closes the connection on purpose.
func (f *Foreign) Disconnect() {
	f.t.Helper()
	f.must("disconnect")
}

func (f *Foreign) must(op string) Frame {
	f.t.Helper()
	frame, err := f.call(request{Op: op})
	if err != nil {
		f.t.Fatalf("%s: %v", op, err)
	}
	return frame
}

func (f *Foreign) call(r request) (Frame, error) {
	f.t.Helper()
	answer, err := f.ask(r)
	if err != nil {
		f.t.Fatalf("the client did not answer %s: %v", r.Op, err)
	}
	if answer.Error != "" {
		return nil, errors.New(answer.Error)
	}
	var frame Frame
	if err := json.Unmarshal(answer.Result, &frame); err != nil {
		f.t.Fatalf("%s answered %s: %v", r.Op, answer.Result, err)
	}
	return frame, nil
}

// Python starts the client that rests on Python's websockets. clients is the directory of the foreign clients.
func Python(t testing.TB, clients string) *Foreign {
	t.Helper()
	return startDriver(t, exec.Command(findPython(t), filepath.Join(clients, "python", "driver.py")))
}

// Node starts the client that rests on Node.js and its package ws.
func Node(t testing.TB, clients string) *Foreign {
	t.Helper()
	dir := filepath.Join(clients, "javascript")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "ws")); err != nil {
		t.Fatalf("the package ws is missing: run `make deps`: %v", err)
	}
	return startDriver(t, exec.Command("node", filepath.Join(dir, "node.js")))
}

// findPython returns an interpreter that has websockets: the first python3 on PATH may not be Debian's.
func findPython(t testing.TB) string {
	t.Helper()
	for _, python := range []string{os.Getenv("PARLEY_TEST_PYTHON"), "python3", "/usr/bin/python3"} {
		if python != "" && exec.CommandContext(t.Context(), python, "-c", "import websockets").Run() == nil {
			return python
		}
	}
	t.Fatal("no python3 here can import websockets: run `make deps`, or name one in PARLEY_TEST_PYTHON")
	return ""
}

// startDriver runs a client that takes one request a line and answers in lines.
func startDriver(t testing.TB, cmd *exec.Cmd) *Foreign {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, stdout := io.Pipe()
	cmd.Stdout = stdout
	errs := &output{}
	p, err := startProcess(cmd, errs)
	if err != nil {
		t.Fatalf("start a client: %v; run `make deps`", err)
	}
	d := &driver{stdin: stdin, waiting: map[int]chan reply{}}
	var reader sync.WaitGroup
	reader.Go(func() { d.read(answers) })
	t.Cleanup(func() {
		p.kill()
		stdout.Close()
		reader.Wait()
		if t.Failed() && errs.String() != "" {
			t.Logf("the client's errors:\n%s", errs)
		}
	})
	return &Foreign{t: t, ask: d.ask}
}

// driver matches the answers of a client process to the requests.
type driver struct {
	stdin io.Writer

	mu      sync.Mutex
	last    int                // guarded by mu
	waiting map[int]chan reply // guarded by mu; nil once the client is gone
}

var errGone = errors.New("the client process has ended")

func (d *driver) ask(r request) (reply, error) {
	answer := make(chan reply, 1)
	if err := d.send(r, answer); err != nil {
		return reply{}, err
	}
	select {
	case a, ok := <-answer:
		if !ok {
			return reply{}, errGone
		}
		return a, nil
	case <-time.After(Patience):
		return reply{}, errors.New("no answer in time")
	}
}

func (d *driver) send(r request, answer chan reply) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		return errGone
	}
	d.last++
	r.ID = d.last
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	d.waiting[r.ID] = answer
	_, err = d.stdin.Write(append(line, '\n'))
	return err
}

func (d *driver) read(answers io.Reader) {
	lines := bufio.NewScanner(answers)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var a reply
		if json.Unmarshal(lines.Bytes(), &a) != nil {
			continue // a warning of the interpreter's
		}
		d.mu.Lock()
		answer := d.waiting[a.ID]
		delete(d.waiting, a.ID)
		d.mu.Unlock()
		if answer != nil {
			answer <- a
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, answer := range d.waiting {
		close(answer)
	}
	d.waiting = nil
}
