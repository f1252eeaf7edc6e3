package rig

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// gate is an address that outlives the server behind it. While that one is down, connections wait for it to come back,
// so a client that tries only once after a crash is tested for what it does, not for how fast the machine restarts.
type gate struct {
	listener net.Listener
	ctx      context.Context //nolint:containedctx // the gate's own life, ended by the test's cleanup
	open     sync.WaitGroup

	mu      sync.Mutex
	backend string        // guarded by mu; "" while the server is down
	changed chan struct{} // guarded by mu; closed when backend changes
}

func newGate(t testing.TB) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &gate{listener: l, ctx: ctx, changed: make(chan struct{})}
	g.open.Go(g.accept)
	t.Cleanup(func() {
		cancel()
		l.Close()
		g.open.Wait()
	})
	return g
}

func (g *gate) addr() string { return g.listener.Addr().String() }

// lead sends new connections to the backend from now on; "" makes them wait.
func (g *gate) lead(backend string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.backend = backend
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *gate) accept() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.open.Go(func() { g.serve(conn) })
	}
}

func (g *gate) serve(client net.Conn) {
	defer client.Close()
	server := g.dial()
	if server == nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(g.ctx, func() { client.Close(); server.Close() })
	defer stop()
	var copies sync.WaitGroup
	copies.Go(func() { pipe(server, client) })
	copies.Go(func() { pipe(client, server) })
	copies.Wait()
}

// pipe copies until either end is gone, and passes the end on.
func pipe(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if tcp, ok := to.(*net.TCPConn); ok && err == nil {
		_ = tcp.CloseWrite()
		return
	}
	to.Close()
	from.Close()
}

func (g *gate) dial() net.Conn {
	deadline := time.After(Patience)
	for {
		g.mu.Lock()
		backend, changed := g.backend, g.changed
		g.mu.Unlock()
		if backend != "" {
			if conn, err := net.Dial("tcp", backend); err == nil {
				return conn
			}
		}
		select {
		case <-changed:
		case <-time.After(50 * time.Millisecond): // the backend may be starting, or just gone
		case <-deadline:
			return nil
		case <-g.ctx.Done():
			return nil
		}
	}
}
