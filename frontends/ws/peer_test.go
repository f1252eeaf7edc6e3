package ws_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/frontends/ws"
)

// patience bounds every wait of a test. It is long enough for a machine that is busy with other things.
const patience = 60 * time.Second

// edge is an HTTP server that gives every connection to one handler.
type edge struct {
	*httptest.Server
	set     *ws.Set
	conns   chan *ws.Conn // each connection, when it is open
	ended   chan error    // how each ended, when its handler has returned
	refused chan error    // what Accept said
}

type edgeConfig struct {
	ws.Config
	ws.Options
	sendBuffer int // of the server's sockets, in bytes. Zero means the system's choice.
	tls        bool
	handle     func(*ws.Conn) error // defaults to discard
	stays      bool                 // connections keep their goroutine while they are silent
}

// newEdge starts an edge and stops it with the test.
func newEdge(t testing.TB, cfg edgeConfig) *edge {
	t.Helper()
	if cfg.handle == nil {
		cfg.handle = discard
	}
	if cfg.CloseWithin == 0 {
		cfg.CloseWithin = patience // a busy machine is no reason to give a peer up
	}
	e := &edge{
		set:     ws.NewSet(cfg.Config),
		conns:   make(chan *ws.Conn, 10000),
		ended:   make(chan error, 10000),
		refused: make(chan error, 10000),
	}
	cfg.Open = func(c *ws.Conn) { e.conns <- c }
	if !cfg.stays {
		cfg.Done = func(*ws.Conn) {}
	}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := e.set.Accept(w, r, cfg.Options, func(c *ws.Conn) {
			if err := cfg.handle(c); !errors.Is(err, ws.ErrSilent) {
				e.ended <- err
			}
		})
		if err == nil {
			return
		}
		e.refused <- err
		if refusal, ok := errors.AsType[*ws.HandshakeError](err); ok {
			http.Error(w, refusal.Reason, refusal.Status)
		}
	}))
	if cfg.sendBuffer > 0 {
		e.Config.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
			plain := nc
			if t, ok := nc.(*tls.Conn); ok {
				plain = t.NetConn()
			}
			if err := plain.(*net.TCPConn).SetWriteBuffer(cfg.sendBuffer); err != nil {
				t.Errorf("set send buffer: %v", err)
			}
			return ctx
		}
	}
	if cfg.tls {
		e.StartTLS()
	} else {
		e.Start()
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.set.Close(ctx, ws.GoingAway, "test over"); err != nil {
			t.Errorf("close set: %v", err)
		}
		e.Close()
		if n := e.set.Len(); n != 0 {
			t.Errorf("%d connections left", n)
		}
	})
	return e
}

// discard is a handler that reads and forgets.
func discard(c *ws.Conn) error {
	for {
		_, _, err := c.ReadMessage()
		if _, ok := errors.AsType[*ws.TooBigError](err); err != nil && !ok {
			return err
		}
	}
}

// echo is a handler that sends every message back, or what was wrong with it.
func echo(c *ws.Conn) error {
	for {
		msg, _, err := c.ReadMessage()
		if big, ok := errors.AsType[*ws.TooBigError](err); ok {
			msg = fmt.Appendf(nil, "too big: %d, kept %d", big.Size, len(msg))
		} else if err != nil {
			return err
		}
		if err := c.Send(ws.AppendText(nil, msg)); err != nil {
			return err
		}
	}
}

// receive waits for a value, but not for ever.
func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("no %T within %v", *new(T), patience)
		panic("unreachable")
	}
}

// await polls for what cannot be waited for.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// peer is a client that can misbehave.
type peer struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

// dial connects and upgrades. What early holds is sent together with the request.
func (e *edge) dial(t testing.TB, early ...byte) *peer { return e.dialSmall(t, 0, early...) }

// dialSmall is dial with a receive buffer of so many bytes.
func (e *edge) dialSmall(t testing.TB, receiveBuffer int, early ...byte) *peer {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		if receiveBuffer == 0 {
			return nil
		}
		var err error
		return errors.Join(raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
		}), err)
	}}
	nc, err := d.DialContext(t.Context(), "tcp", e.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return upgrade(t, nc, early)
}

func upgrade(t testing.TB, nc net.Conn, early []byte) *peer {
	t.Helper()
	p := &peer{Conn: nc, t: t, r: bufio.NewReader(nc)}
	p.write(append([]byte(upgradeRequest), early...))
	res, err := http.ReadResponse(p.r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v", res, err)
	}
	return p
}

const upgradeRequest = "GET / HTTP/1.1\r\nHost: broker\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

// next reads one frame: its first byte and its payload.
func (p *peer) next() (byte, string) {
	p.t.Helper()
	first, payload, err := readFrame(p.r)
	if err != nil {
		p.t.Fatalf("read frame: %v", err)
	}
	return first, payload
}

// expect reads one frame that must be this one.
func (p *peer) expect(first byte, payload string) {
	p.t.Helper()
	if f, got := p.next(); f != first || got != payload {
		p.t.Fatalf("got frame %#x %.200q, want %#x %.200q", f, got, first, payload)
	}
}

// expectClose reads up to the close frame, which must have this code, and to the end of the stream behind it.
func (p *peer) expectClose(code ws.Code) (reason string) {
	p.t.Helper()
	for {
		first, payload := p.next()
		if first != 0x88 {
			continue
		}
		got := ws.NoStatus
		if len(payload) >= 2 {
			got, reason = ws.Code(binary.BigEndian.Uint16([]byte(payload))), payload[2:]
		}
		if got != code {
			p.t.Fatalf("closed with %d %q, want %d", got, reason, code)
		}
		if rest, err := io.ReadAll(p.r); err != nil || len(rest) != 0 {
			p.t.Fatalf("behind the close frame: %d bytes, %v", len(rest), err)
		}
		return reason
	}
}

func readFrame(r *bufio.Reader) (byte, string, error) {
	head := make([]byte, 2, 10)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, "", err
	}
	n := uint64(head[1])
	if width := map[uint64]int{126: 2, 127: 8}[n]; width > 0 {
		wide := make([]byte, 8)
		if _, err := io.ReadFull(r, wide[8-width:]); err != nil {
			return 0, "", err
		}
		n = binary.BigEndian.Uint64(wide)
	}
	var payload strings.Builder
	if _, err := io.CopyN(&payload, r, int64(n)); err != nil {
		return 0, "", err
	}
	return head[0], payload.String(), nil
}

// masked is a client's frame with this first byte.
func masked(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n <= 125:
		b = append(b, 0x80|byte(n))
	case n <= 65535:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	key := [4]byte{0x12, 0x34, 0x56, 0x78}
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

func text(payload string) []byte { return masked(0x81, payload) }

// closing is a client's close frame.
func closing(code ws.Code, reason string) []byte {
	return masked(0x88, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}
