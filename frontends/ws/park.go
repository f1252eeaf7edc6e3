package ws

import (
	"errors"
	"os"
	"time"
)

// parkAfter is how long the peer of a connection that may be parked must have sent no message.
const parkAfter = 5 * time.Second

// parking says where a connection's reader is. A connection is parked when it has none: its Set's poller waits for input,
// and whoever has something for the reader to do, a close included, gives it a goroutine.
type parking struct {
	poller *poller // nil for a connection that is never parked. Changed by the reader only.
	known  bool    // to the poller
	parked bool
	asked  bool // the reader's deadline was set for nothing but to have it let go
}

// park has the poller wait for input, so that the reader can end. It reports false when the reader has to go on: there is
// something to read, the connection is ending, or it can't be parked. Called by the reader, or before there is one.
func (c *Conn) park() bool {
	if c.parking.poller == nil || c.Pending() {
		return false
	}
	c.detach()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end.why != nil {
		return false
	}
	var err error
	failed := c.raw.Control(func(fd uintptr) { err = c.parking.poller.watch(fd, c.id, c.parking.known) })
	if err = errors.Join(failed, err); err != nil { // of no consequence: the reader waits for itself
		c.parking.poller = nil
		return false
	}
	c.parking.known, c.parking.parked = true, true
	return true
}

// unpark gives a parked connection a reader. mu is held.
func (c *Conn) unpark() {
	if c.parking.parked {
		c.parking.parked = false
		go c.set.serve(c)
	}
}

// wake unparks the connection that there is input for.
func (s *Set) wake(id uint64) {
	s.mu.Lock()
	c := s.conns[id]
	s.mu.Unlock()
	if c == nil { // it has ended
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unpark()
}

// letGo asks the reader of a connection to end when no message has come for long: in its next wait it finds a deadline that
// has passed. mu is held.
func (c *Conn) letGo(t int64) {
	p, n := &c.parking, c.keep.messages.Load()
	switch {
	case p.poller == nil || p.parked || p.asked:
	case n != c.swept.messages:
		c.swept.messages, c.swept.quiet = n, t
	case time.Duration(t-c.swept.quiet) > parkAfter:
		p.asked = c.net.SetReadDeadline(time.Unix(1, 0)) == nil
	}
}

// excused reports whether err is nothing but letGo's request, and takes its deadline away.
func (c *Conn) excused(err error) bool {
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.parking.asked || c.end.why != nil {
		return false
	}
	c.parking.asked = false
	return c.net.SetReadDeadline(time.Time{}) == nil
}

// pollerFor returns the poller for a connection that may be parked, nil for others. mu is held.
func (s *Set) pollerFor(c *Conn) *poller {
	if c.done == nil || c.raw == nil {
		return nil
	}
	if s.poller == nil {
		p, err := newPoller(s.wake)
		if err != nil {
			s.cfg.Log.Warn("Connections keep a goroutine each while they are silent.", "err", err)
			return nil
		}
		s.poller = p
	}
	return s.poller
}

// endPoller ends the poller when the last connection has ended.
func (s *Set) endPoller() {
	s.mu.Lock()
	p := s.poller
	s.poller = nil
	s.mu.Unlock()
	if p != nil {
		p.close()
	}
}
