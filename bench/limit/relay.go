//go:build linux

package main

import (
	"errors"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// relay is all connections, served by one thread.
type relay struct {
	addr   string
	listen int
	epoll  int
	conns  []*conn // by descriptor
	rooms  map[string]*room
	dirty  []*conn // have something to write
	in     []byte
	text   []byte // the message being relayed
}

// conn is one connection.
type conn struct {
	fd      int
	open    bool   // the handshake is done
	rest    []byte // the beginning of what is not whole yet
	out     []byte // to be written
	waiting bool   // for room in the socket
	room    *room
}

// room is the connections of a channel.
type room struct {
	seq   uint64
	conns []*conn
}

func listen() (*relay, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, err
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return nil, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return nil, err
	}
	bound, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return nil, errors.New("not an IPv4 socket")
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	r := &relay{
		addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(bound.Port)), listen: fd, epoll: epoll,
		rooms: map[string]*room{}, in: make([]byte, 256<<10),
	}
	return r, r.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN)
}

func (r *relay) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(r.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// run serves for ever.
func (r *relay) run() error {
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(r.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			switch fd := int(e.Fd); {
			case fd == r.listen:
				r.accept()
			case e.Events&unix.EPOLLOUT != 0:
				r.flush(r.conns[fd])
			default:
				r.read(r.conns[fd])
			}
		}
		for _, c := range r.dirty {
			r.flush(c)
		}
		r.dirty = r.dirty[:0]
	}
}

func (r *relay) accept() {
	for {
		fd, _, err := unix.Accept4(r.listen, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // none is left
		}
		for len(r.conns) <= fd {
			r.conns = append(r.conns, nil)
		}
		r.conns[fd] = &conn{fd: fd}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		_ = r.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN)
	}
}

// read takes what has come for a connection.
func (r *relay) read(c *conn) {
	if c == nil {
		return
	}
	have := copy(r.in, c.rest)
	n, err := unix.Read(c.fd, r.in[have:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if err != nil || n <= 0 || have+n == len(r.in) && len(c.rest) > len(r.in)/2 {
		r.drop(c)
		return
	}
	b := r.in[:have+n]
	if !c.open {
		b = r.handshake(c, b)
	}
	if c.open {
		b = r.frames(c, b)
	}
	c.rest = append(c.rest[:0], b...)
}

// send queues bytes until the end of the round.
func (r *relay) send(c *conn, b []byte) {
	if len(c.out) == 0 {
		r.dirty = append(r.dirty, c)
	}
	c.out = append(c.out, b...)
}

// flush writes what is queued, as far as the socket takes it.
func (r *relay) flush(c *conn) {
	if c == nil || len(c.out) == 0 {
		return
	}
	n, err := unix.Write(c.fd, c.out)
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		r.drop(c)
		return
	}
	c.out = c.out[:copy(c.out, c.out[max(n, 0):])]
	if wait := len(c.out) > 0; wait != c.waiting {
		c.waiting = wait
		events := uint32(unix.EPOLLIN)
		if wait {
			events |= unix.EPOLLOUT
		}
		_ = r.watch(unix.EPOLL_CTL_MOD, c.fd, events)
	}
	if cap(c.out) > 1<<20 && len(c.out) == 0 {
		c.out = nil
	}
}

func (r *relay) drop(c *conn) {
	if r.conns[c.fd] != c {
		return
	}
	r.conns[c.fd] = nil
	_ = unix.Close(c.fd)
	c.out = nil
	if c.room == nil {
		return
	}
	for i, other := range c.room.conns {
		if other == c {
			c.room.conns = append(c.room.conns[:i], c.room.conns[i+1:]...)
			return
		}
	}
}
