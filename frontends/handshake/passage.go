package handshake

import (
	"net"
	"sync"
)

// passage is the listener of the http.Server behind: it yields what a Server passes on.
type passage struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPassage() *passage {
	p := &passage{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

// pass waits until the server takes the connection, and closes it when that has ended.
func (p *passage) pass(nc net.Conn) {
	select {
	case p.conns <- nc:
	case <-p.closed:
		_ = nc.Close()
	}
}

// Accept implements net.Listener.
func (p *passage) Accept() (net.Conn, error) {
	select {
	case nc := <-p.conns:
		return nc, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *passage) Close() error { p.close(); return nil }

// Addr implements net.Listener. Nobody asks for it.
func (p *passage) Addr() net.Addr { return &net.TCPAddr{} }

// replayed is a connection of which something has been read already.
type replayed struct {
	net.Conn
	head []byte // to be read again
}

// Read implements net.Conn.
func (c *replayed) Read(p []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.head)
	if c.head = c.head[n:]; len(c.head) == 0 {
		c.head = nil
	}
	return n, nil
}

// CloseWrite ends this side of the stream, if the connection can do that.
func (c *replayed) CloseWrite() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return c.Close()
}
