package rig

import (
	"net"
	"sync"
	"testing"
)

// Wall stands between nodes of a cluster that reach each other only through it, and can part them. What is on its way
// then waits, as it does in a network that is broken: no connection ends, and new ones lead nowhere.
type Wall struct {
	routes [][]string // what each node takes for the addresses of all
	links  [][]*link  // by the node that connects and the one that it connects to; nil for itself
}

// NewWall returns a wall between nodes that listen to each other on addrs.
func NewWall(t testing.TB, addrs []string) *Wall {
	t.Helper()
	w := &Wall{}
	for i := range addrs {
		routes, links := make([]string, len(addrs)), make([]*link, len(addrs))
		for j, addr := range addrs {
			routes[j] = addr
			if i != j {
				links[j] = newLink(t, addr)
				routes[j] = links[j].listener.Addr().String()
			}
		}
		w.routes, w.links = append(w.routes, routes), append(w.links, links)
	}
	return w
}

// Routes are the addresses of all nodes as node i has to be told.
func (w *Wall) Routes(i int) []string { return w.routes[i] }

// Part lets nothing through between node i and the others, or everything again.
func (w *Wall) Part(i int, apart bool) {
	for j := range w.links {
		if i != j {
			w.links[i][j].block(apart)
			w.links[j][i].block(apart)
		}
	}
}

// link forwards connections to one address.
type link struct {
	listener net.Listener
	to       string
	serving  sync.WaitGroup

	mu      sync.Mutex
	moved   *sync.Cond // told when what is below changes
	blocked bool       // guarded by mu
	ended   bool       // guarded by mu
	open    []net.Conn // guarded by mu
}

func newLink(t testing.TB, to string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{listener: l, to: to}
	k.moved = sync.NewCond(&k.mu)
	k.serving.Go(k.accept)
	t.Cleanup(k.close)
	return k
}

func (k *link) close() {
	k.listener.Close()
	k.mu.Lock()
	k.ended = true
	for _, c := range k.open {
		c.Close()
	}
	k.mu.Unlock()
	k.moved.Broadcast()
	k.serving.Wait()
}

// cut ends all connections.
func (k *link) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.open {
		c.Close()
	}
	k.open = nil
}

func (k *link) block(blocked bool) {
	k.mu.Lock()
	k.blocked = blocked
	k.mu.Unlock()
	k.moved.Broadcast()
}

// pass waits while the link is blocked, and reports whether there is still a test.
func (k *link) pass() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.blocked && !k.ended {
		k.moved.Wait()
	}
	return !k.ended
}

// keep has a connection closed in the end.
func (k *link) keep(c net.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		c.Close()
	}
	k.open = append(k.open, c)
}

func (k *link) accept() {
	for {
		from, err := k.listener.Accept()
		if err != nil {
			return
		}
		k.keep(from)
		k.serving.Go(func() { k.forward(from) })
	}
}

func (k *link) forward(from net.Conn) {
	defer from.Close()
	if !k.pass() {
		return
	}
	to, err := net.Dial("tcp", k.to)
	if err != nil {
		return // the node is down
	}
	k.keep(to)
	defer to.Close()
	var copies sync.WaitGroup
	copies.Go(func() { k.copy(to, from) })
	copies.Go(func() { k.copy(from, to) })
	copies.Wait()
}

func (k *link) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if n > 0 && k.pass() {
			_, err = to.Write(b[:n])
		}
		if err != nil || n == 0 {
			return
		}
	}
}
