package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/fault"
)

// bufferBytes is what one read takes at most, and bounds a frame.
const bufferBytes = 128 << 10

// buffers are borrowed for the time between a read and the end of what it brought.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { return new([bufferBytes]byte) }}}
}

func (b *buffers) take() *[bufferBytes]byte    { return b.pool.Get().(*[bufferBytes]byte) }
func (b *buffers) give(one *[bufferBytes]byte) { b.pool.Put(one) }

// link is one WebSocket connection to the broker.
type link struct {
	conn    net.Conn
	buffers *buffers
	reader  reader
	closing atomic.Bool
	ready   chan struct{} // closed when the broker has answered the first frame
	done    chan struct{} // closed when err is set and nothing more will be handed over
	err     error         // why the connection ended; nil when it was closed here
}

// dialWithin bounds a connection's way to its first message.
const dialWithin = 30 * time.Second

// errNotNow is how a broker refuses a connection that may be tried again.
var errNotNow = errors.New("503")

// open is openOnce, tried again for a while when the broker says that it can't now, as clients do.
func (s *Session) open(ctx context.Context, to receiver, token, more string) (*link, error) {
	for began := time.Now(); ; {
		l, err := s.openOnce(ctx, to, token, more)
		if !errors.Is(err, errNotNow) || time.Since(began) > dialWithin || !pause(ctx, againAfter) {
			return l, err
		}
		s.retried.Add(1)
	}
}

// againAfter is how long a client waits before it tries again.
const againAfter = 100 * time.Millisecond

// openOnce opens a connection with a token, and further parameters of the query as they stand in a URL. Its messages go
// to the receiver from a goroutine of the link's own, which ends at close.
func (s *Session) openOnce(ctx context.Context, to receiver, token, more string) (*link, error) {
	return s.openPath(ctx, to, agentsPath, token, more)
}

// agentsPath is the endpoint that most loads use.
const agentsPath = "/v1/ws"

// openPath is openOnce on another endpoint.
func (s *Session) openPath(ctx context.Context, to receiver, path, token, more string) (*link, error) {
	conn, at, err := s.dial(ctx)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "A connection to %s failed: %s.", at.address, err).
			WithFix("The address that clients use is given with --address HOST:PORT.")
	}
	l := &link{conn: conn, buffers: s.buffers, ready: make(chan struct{}), done: make(chan struct{})}
	l.reader = reader{to: to, ready: sync.OnceFunc(func() { close(l.ready) }), pong: l.pong}
	if err := l.handshake(path+"?token="+token+more, at.address); err != nil {
		_ = conn.Close()
		return nil, err
	}
	go func() { // close waits for it
		defer close(l.done)
		if err := l.receive(); !l.closing.Load() {
			l.err = err
		}
	}()
	return l, nil
}

func (l *link) handshake(target, host string) error {
	_ = l.conn.SetDeadline(time.Now().Add(dialWithin))
	request := "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: cGFybGV5IGJlbmNoIHJ1bg==\r\n\r\n"
	if _, err := io.WriteString(l.conn, request); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The broker closed a connection before it was open.")
	}
	buf := l.buffers.take()
	defer l.buffers.give(buf)
	for have := 0; ; {
		n, err := l.conn.Read(buf[have:])
		have += n
		if end := bytes.Index(buf[:have], []byte("\r\n\r\n")); end >= 0 {
			if !bytes.HasPrefix(buf[:have], []byte("HTTP/1.1 101 ")) {
				return refusedBy(buf[:have])
			}
			_ = l.conn.SetDeadline(time.Time{})
			l.reader.rest = append([]byte(nil), buf[end+4:have]...)
			return nil
		}
		if err != nil || have == len(buf) {
			return fault.Wrap(fault.Unavailable, err, "The broker did not answer the request for a connection.")
		}
	}
}

// refusedBy is the reason that an HTTP answer gives.
func refusedBy(answer []byte) error {
	text, cause := "what is no HTTP", error(nil)
	if resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil); err == nil {
		body, _ := io.ReadAll(resp.Body) // as much as has come
		_ = resp.Body.Close()
		text = fmt.Sprintf("%s %s", resp.Status, bytes.TrimSpace(body))
		if resp.StatusCode == http.StatusServiceUnavailable {
			cause = errNotNow
		}
	}
	return fault.Wrap(fault.Unavailable, cause, "The broker refused a connection with %s.", text)
}

// greet sends a frame that the broker answers once everything that the connection asked for is in place, and waits for
// the answer.
func (l *link) greet(ctx context.Context) error {
	if _, err := l.conn.Write(appendFrame(nil, textFrame, `{"id":"ready","type":"ping"}`)); err != nil {
		return fault.Wrap(fault.Unavailable, err, "A connection ended before it was in use.")
	}
	select {
	case <-l.ready:
		return nil
	case <-l.done:
		return fault.Wrap(fault.Unavailable, l.err, "A connection ended before it was in use: %v.", l.err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *link) pong(payload []byte) {
	_, _ = l.conn.Write(appendFrame(nil, pongFrame, string(payload)))
}

// close ends the connection and waits until nothing more is handed over.
func (l *link) close() {
	l.closing.Store(true)
	_ = l.conn.Close()
	<-l.done
}

// cut is close without saying goodbye, as a network does.
func (l *link) cut() {
	if tcp, ok := l.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	l.close()
}
