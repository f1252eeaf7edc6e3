package ws_test

import (
	"bytes"
	"fmt"
	"net"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"parley/frontends/ws"
)

// readers counts the goroutines that connections have.
func readers(t testing.TB) int {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 2); err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b.Bytes(), []byte("ws.(*Set).serve("))
}

func TestSilentConnectionsHaveNoGoroutine(t *testing.T) {
	const many = 50
	e := newEdge(t, edgeConfig{Config: ws.Config{Now: frozen(), IdleAfter: time.Minute, PingEvery: time.Second}, handle: echo})
	var all []*peer
	for range many {
		all = append(all, e.dial(t))
		receive(t, e.conns)
	}
	if n := readers(t); n != 0 {
		t.Fatalf("%d goroutines for connections from which nothing has come", n)
	}
	now := noon()
	pass := func(d time.Duration) {
		now = now.Add(d)
		e.set.Tick(now)
		for _, p := range all {
			p.expect(0x89, "")
		}
	}
	for round := range 3 {
		for _, p := range all {
			p.write(text("hello"))
			p.expect(0x81, "hello")
		}
		if n := readers(t); n != many {
			t.Fatalf("round %d: %d goroutines for %d connections that talk", round, n, many)
		}
		pass(2 * time.Second)
		pass(6 * time.Second)
		await(t, "the goroutines end", func() bool { return readers(t) == 0 })
		for range 4 { // longer than they may be idle, but for their pongs
			for _, p := range all {
				p.write(append(masked(0x8a, ""), masked(0x89, "and you?")...))
				p.expect(0x8a, "and you?")
			}
			await(t, "the goroutines end again", func() bool { return readers(t) == 0 })
			pass(30 * time.Second)
		}
	}
}

// TestSilentConnectionsEnd ends connections that have no goroutine in all ways that there are.
func TestSilentConnectionsEnd(t *testing.T) {
	for name, end := range map[string]func(*ws.Conn, *peer){
		"the server closes": func(c *ws.Conn, p *peer) { c.Close(4001, "expired"); p.expectClose(4001) },
		"the server cuts":   func(c *ws.Conn, p *peer) { c.Cut(4003, "revoked"); p.expectClose(4003) },
		"the server drops":  func(c *ws.Conn, _ *peer) { c.CloseNow() },
		"the peer closes":   func(_ *ws.Conn, p *peer) { p.write(closing(ws.Normal, "")); p.expectClose(ws.Normal) },
		"the peer vanishes": func(_ *ws.Conn, p *peer) { p.Close() },
		"the peer resets":   func(_ *ws.Conn, p *peer) { _ = p.Conn.(*net.TCPConn).SetLinger(0); p.Close() },
		"nonsense":          func(_ *ws.Conn, p *peer) { p.write(masked(0xff, "")); p.expectClose(ws.ProtocolError) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, edgeConfig{})
			p := e.dial(t)
			c := receive(t, e.conns)
			end(c, p)
			p.Close()
			receive(t, e.ended)
			await(t, "the connection is gone", func() bool { return e.set.Len() == 0 })
			if c.Closed() == nil {
				t.Error("not closed")
			}
		})
	}
}

// TestMessagesMeetReadersThatLeave sends messages in pieces while readers are asked to leave all the time.
func TestMessagesMeetReadersThatLeave(t *testing.T) {
	const clients, messages = 8, 200
	e := newEdge(t, edgeConfig{Config: ws.Config{Now: frozen(), IdleAfter: 1 << 60, PingEvery: -1, StallAfter: 1 << 60, MessageWithin: 1 << 60}, handle: echo})
	var talking sync.WaitGroup
	for range clients {
		p := e.dial(t)
		talking.Go(func() {
			for i := range messages {
				payload := fmt.Sprint("message ", i)
				b := append(masked(0x8a, "pong"), text(payload)...)
				cut := i % len(b)
				if _, err := p.Write(b[:cut]); err != nil {
					t.Error(err)
					return
				}
				if _, err := p.Write(b[cut:]); err != nil {
					t.Error(err)
					return
				}
				if first, got, err := readFrame(p.r); err != nil || first != 0x81 || got != payload {
					t.Errorf("got %#x %q, %v; want %q", first, got, err, payload)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { talking.Wait(); close(done) }()
	for now := noon(); ; now = now.Add(10 * time.Second) {
		select {
		case <-done:
			return
		default:
			e.set.Tick(now)
		}
	}
}
