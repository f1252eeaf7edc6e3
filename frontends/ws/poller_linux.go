package ws

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// poller waits for input for any number of sockets with one goroutine: an epoll instance, which the runtime's own poller
// watches like a socket, so that waiting holds no thread.
type poller struct {
	epoll int
	file  *os.File // of epoll
	ended chan struct{}
}

// newPoller returns a poller that calls ready, from its goroutine, with the id of each socket that has input or has ended.
// The caller closes it.
func newPoller(ready func(id uint64)) (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err == nil {
		err = syscall.SetNonblock(fd, true) // or the runtime would not watch it
	}
	if err != nil {
		return nil, fmt.Errorf("wait for many sockets: %w", err)
	}
	p := &poller{epoll: fd, file: os.NewFile(uintptr(fd), "epoll"), ended: make(chan struct{})}
	if err := p.file.SetDeadline(time.Time{}); err != nil { // it is not watched
		return nil, errors.Join(fmt.Errorf("wait for many sockets: %w", err), p.file.Close())
	}
	raw, err := p.file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wait for many sockets: %w", err), p.file.Close())
	}
	go p.run(raw, ready)
	return p, nil
}

// watch has ready called once, as soon as there is input on a socket, also when there is some already. known says that the
// socket was watched before.
func (p *poller) watch(fd uintptr, id uint64, known bool) error {
	op := syscall.EPOLL_CTL_ADD
	if known {
		op = syscall.EPOLL_CTL_MOD
	}
	event := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     int32(id), Pad: int32(id >> 32),
	}
	return syscall.EpollCtl(p.epoll, op, int(fd), &event)
}

// run calls ready until the poller is closed.
func (p *poller) run(raw syscall.RawConn, ready func(uint64)) {
	defer close(p.ended)
	events := make([]syscall.EpollEvent, 128)
	n := 0
	look := func(fd uintptr) bool {
		var err error
		n, err = syscall.EpollWait(int(fd), events, 0)
		return n > 0 || err != nil
	}
	for raw.Read(look) == nil {
		for _, e := range events[:max(n, 0)] {
			ready(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32)
		}
	}
}

// close ends the poller and waits for its goroutine. Nothing is watched any more.
func (p *poller) close() {
	_ = p.file.Close() // which ends run
	<-p.ended
}
