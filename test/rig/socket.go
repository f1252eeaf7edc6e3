package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Socket is a WebSocket client of the agents dialect. Everything it receives is kept until a test takes it.
type Socket struct {
	t       testing.TB
	conn    *websocket.Conn
	reading sync.Once
	done    chan struct{} // closed when the connection has ended

	mu      sync.Mutex
	changed chan struct{} // guarded by mu; closed at every change of what is below
	frames  []Frame       // guarded by mu; received and not yet taken
	err     error         // guarded by mu; why the connection ended
	next    int           // guarded by mu; of the ids that Publish makes up
}

// Query makes a query string of name, value pairs; pairs without a value are left out.
func Query(pairs ...string) string {
	q := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			q.Set(pair[0], pair[1])
		}
	}
	return q.Encode()
}

// Dial opens path (with its query) on addr, which has to work.
func Dial(t testing.TB, addr, path string) *Socket {
	t.Helper()
	s, res := TryDial(t, addr, path, nil)
	if s == nil {
		t.Fatalf("GET %s: refused with %d: %s", path, res.Status, res.Body)
	}
	return s
}

// TryDial opens path on addr. A refusal comes back as the response instead of a socket. header may be nil.
func TryDial(t testing.TB, addr, path string, header http.Header) (*Socket, Response) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	// The library wants to know what it has offered, so that it can judge the answer.
	header = header.Clone()
	protocols := header.Values("Sec-WebSocket-Protocol")
	header.Del("Sec-WebSocket-Protocol")
	conn, res, err := websocket.Dial(ctx, "ws://"+addr+path, &websocket.DialOptions{HTTPHeader: header, Subprotocols: protocols})
	if err != nil {
		if res == nil {
			t.Fatalf("connect to %s: %v", addr, err)
		}
		body, _ := io.ReadAll(res.Body) // the library hands over at most 1024 bytes
		return nil, Response{Status: res.StatusCode, Header: res.Header, Body: body}
	}
	s := newSocket(t, conn)
	s.Unstick()
	return s, Response{Status: res.StatusCode, Header: res.Header}
}

// Reach opens path on addr, or returns nil when nobody answers there or the server refuses.
func Reach(t testing.TB, addr, path string) *Socket {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+addr+path, nil)
	if err != nil {
		return nil
	}
	s := newSocket(t, conn)
	s.Unstick()
	return s
}

// DialStuck is Dial for a client that does not read before Unstick is called.
func DialStuck(t testing.TB, addr, path string) *Socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return newSocket(t, conn)
}

func newSocket(t testing.TB, conn *websocket.Conn) *Socket {
	conn.SetReadLimit(16 << 20)
	s := &Socket{t: t, conn: conn, done: make(chan struct{}), changed: make(chan struct{})}
	t.Cleanup(func() {
		_ = conn.CloseNow()
		s.Unstick()
		<-s.done
	})
	return s
}

// Unstick makes a client read that did not.
func (s *Socket) Unstick() { s.reading.Do(func() { go s.read() }) }

func (s *Socket) read() {
	defer close(s.done)
	for {
		kind, b, err := s.conn.Read(context.Background()) // ended by the close
		frame := Frame{}
		switch {
		case err != nil:
		case kind != websocket.MessageText:
			frame["binary"] = b
		default:
			err = json.Unmarshal(b, &frame)
		}
		s.mu.Lock()
		if err != nil {
			s.err = err
		} else {
			s.frames = append(s.frames, frame)
		}
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Send sends frame as JSON, or as it stands if it is a string.
func (s *Socket) Send(frame any) {
	s.t.Helper()
	if err := s.TrySend(frame); err != nil {
		s.t.Fatalf("send: %v", err)
	}
}

// TrySend is Send for connections that may be gone.
func (s *Socket) TrySend(frame any) error {
	text, raw := frame.(string)
	if !raw {
		b, err := json.Marshal(frame)
		if err != nil {
			return err
		}
		text = string(b)
	}
	return s.write(websocket.MessageText, []byte(text))
}

// SendBinary sends a binary message.
func (s *Socket) SendBinary(b []byte) {
	s.t.Helper()
	if err := s.write(websocket.MessageBinary, b); err != nil {
		s.t.Fatalf("send: %v", err)
	}
}

func (s *Socket) write(kind websocket.MessageType, b []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	return s.conn.Write(ctx, kind, b)
}

// take removes and returns the first frame that want takes, waiting for it. It returns false when the connection has
// ended or Patience is over without one.
func (s *Socket) take(want func(Frame) bool) (Frame, bool) { return s.takeUnless(want, nil) }

// takeUnless is take that returns nil and true when stop is closed first.
func (s *Socket) takeUnless(want func(Frame) bool, stop <-chan struct{}) (Frame, bool) {
	deadline := time.After(Patience)
	for {
		s.mu.Lock()
		i := slices.IndexFunc(s.frames, want)
		if i >= 0 {
			f := s.frames[i]
			s.frames = slices.Delete(s.frames, i, i+1)
			s.mu.Unlock()
			return f, true
		}
		ended, changed := s.err != nil, s.changed
		s.mu.Unlock()
		if ended {
			return nil, false
		}
		select {
		case <-changed:
		case <-stop:
			return nil, true
		case <-deadline:
			return nil, false
		}
	}
}

// Next returns the next frame of any kind.
func (s *Socket) Next() Frame {
	s.t.Helper()
	return s.must("a frame", func(Frame) bool { return true })
}

// TryNext is Next for connections that may end first; false says that it did.
func (s *Socket) TryNext() (Frame, bool) {
	return s.take(func(Frame) bool { return true })
}

// Take returns the first frame that want takes, and leaves the others; false says that the connection has ended.
func (s *Socket) Take(want func(Frame) bool) (Frame, bool) { return s.take(want) }

// Done is closed when the connection has ended.
func (s *Socket) Done() <-chan struct{} { return s.done }

// Message returns the next frame that is no answer.
func (s *Socket) Message() Frame {
	s.t.Helper()
	return s.must("a message", func(f Frame) bool { return !f.Answer() })
}

// TryMessage is Message for connections that may end first; false says that it did.
func (s *Socket) TryMessage() (Frame, bool) {
	return s.take(func(f Frame) bool { return !f.Answer() })
}

// MessageUnless is TryMessage that returns nil and true when stop is closed before a message is there.
func (s *Socket) MessageUnless(stop <-chan struct{}) (Frame, bool) {
	return s.takeUnless(func(f Frame) bool { return !f.Answer() }, stop)
}

// Messages returns the next n frames that are no answers, in the order of arrival.
func (s *Socket) Messages(n int) []Frame {
	s.t.Helper()
	frames := make([]Frame, n)
	for i := range frames {
		frames[i] = s.Message()
	}
	return frames
}

// Answer returns the ACK or ERROR that names the message id.
func (s *Socket) Answer(id string) Frame {
	s.t.Helper()
	return s.must("an answer to "+id, func(f Frame) bool { return f.Answer() && f.Text("message_id") == id })
}

// TryAnswer is Answer for connections that may end first; false says that it did.
func (s *Socket) TryAnswer(id string) (Frame, bool) {
	return s.take(func(f Frame) bool { return f.Answer() && f.Text("message_id") == id })
}

// Ack returns the answer to id, which has to be an ACK.
func (s *Socket) Ack(id string) Frame {
	s.t.Helper()
	f := s.Answer(id)
	if f.Type() != "ACK" {
		s.t.Fatalf("message %s: want an ACK, got %s", id, f)
	}
	return f
}

func (s *Socket) must(what string, want func(Frame) bool) Frame {
	s.t.Helper()
	f, ok := s.take(want)
	if !ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.t.Fatalf("%s did not come; connection: %v; not taken: %s", what, s.err, s.frames)
	}
	return f
}

// Ask sends an extension frame under an id of its own and returns the answer.
func (s *Socket) Ask(frame Frame) Frame {
	s.t.Helper()
	frame["id"] = s.freshID()
	s.Send(frame)
	return s.Answer(frame.ID())
}

// Publish sends a message to the connection's channel and returns its id and its ACK.
func (s *Socket) Publish(content any) (id string, ack Frame) {
	s.t.Helper()
	return s.PublishFrame(Frame{"type": "message", "content": content})
}

// PublishFrame is Publish for a frame of the caller's making. An id is put in if there is none.
func (s *Socket) PublishFrame(frame Frame) (id string, ack Frame) {
	s.t.Helper()
	if frame.ID() == "" {
		frame["id"] = s.freshID()
	}
	s.Send(frame)
	return frame.ID(), s.Ack(frame.ID())
}

func (s *Socket) freshID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return fmt.Sprintf("%p-%d", s, s.next)
}

// Pending returns the frames that have arrived and were not taken, without waiting.
func (s *Socket) Pending() []Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.frames)
}

// Settle waits until everything that the server had for this connection before the call has arrived: it asks for an
// answer, and a connection is in order.
func (s *Socket) Settle() {
	s.t.Helper()
	if f := s.Ask(Frame{"type": "ping"}); f.Type() != "ACK" {
		s.t.Fatalf("ping: want an ACK, got %s", f)
	}
}

// Close closes the connection as a client that has finished does, and waits for the server's answer.
func (s *Socket) Close() {
	s.t.Helper()
	if err := s.conn.Close(websocket.StatusNormalClosure, ""); err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "already") {
		s.t.Errorf("close: %v", err)
	}
	<-s.done
}

// Drop ends the connection without a word, as a lost network does.
func (s *Socket) Drop() {
	_ = s.conn.CloseNow()
	<-s.done
}

// Ended waits for the server to close the connection and returns the close code and its reason; code -1 is an end
// without a close frame.
func (s *Socket) Ended() (code int, reason string) {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(Patience):
		s.t.Fatal("the server did not close the connection")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var closed websocket.CloseError
	if errors.As(s.err, &closed) {
		return int(closed.Code), closed.Reason
	}
	return -1, s.err.Error()
}

// Contains reports whether any byte that this socket holds untaken has s in it.
func Contains(frames []Frame, s string) bool {
	return slices.ContainsFunc(frames, func(f Frame) bool { return bytes.Contains([]byte(f.String()), []byte(s)) })
}
