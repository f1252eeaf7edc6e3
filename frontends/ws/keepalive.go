package ws

import (
	"context"
	"fmt"
	"time"

	"parley/internal/tick"
)

// expiry is the instant after which a connection's owner wants to hear of it.
type expiry struct {
	at   time.Time // zero means never
	hook func()
}

// swept is what the sweeper remembers of a connection from one look to the next.
type swept struct {
	pingAt  int64  // when the next ping is due
	flushed uint64 // what Conn.flushed was then
	since   int64  // since when nothing of a backlog was taken. Zero means that there is none.

	messages uint64 // how many had come then
	quiet    int64  // since when none has
}

// rate counts events within one second. The zero value is ready to use.
type rate struct {
	second int64
	n      int
}

// add counts one event and returns how many the current second has seen.
func (r *rate) add(now time.Time) int {
	if s := now.Unix(); s != r.second {
		*r = rate{second: s}
	}
	r.n++
	return r.n
}

// ExpireAt makes the sweeper call hook once when t has passed, at most about [Config.SweepEvery] late, from its own
// goroutine, which hook must not hold up. It replaces what an earlier call has set. A zero t means never. The hook of a
// connection that ends before is not called.
func (c *Conn) ExpireAt(t time.Time, hook func()) {
	c.mu.Lock()
	c.expiry = expiry{at: t, hook: hook}
	c.mu.Unlock()
}

// Run looks after all connections of s until ctx is cancelled: it pings them, spread over the interval, and ends those
// that are idle, stalled or trickling. One goroutine does this for all.
func (s *Set) Run(ctx context.Context) error {
	for range tick.Every(ctx, s.cfg.SweepEvery) {
		s.Tick(s.cfg.Now())
	}
	return nil
}

// Tick is one look at all connections, at the time now. Run does it; a test may do it instead.
func (s *Set) Tick(now time.Time) {
	s.clock.Store(now.UnixNano())
	for _, c := range s.snapshot() {
		c.sweep(now)
	}
}

// firstPing returns when to ping a new connection first. Successive multiples of the golden ratio fill the interval
// evenly, however many there are. mu is held.
func (s *Set) firstPing() int64 {
	const golden = 0x9E3779B97F4A7C15 // 2^64 divided by the golden ratio
	s.spread += golden
	part := float64(s.spread) / (1 << 64)
	return s.clock.Load() + int64(part*float64(s.cfg.PingEvery))
}

// sweep does what is due for one connection.
func (c *Conn) sweep(now time.Time) {
	cfg := &c.set.cfg
	t := now.UnixNano()
	c.mu.Lock()
	if c.end.why != nil { // its deadlines do the rest
		c.mu.Unlock()
		return
	}
	hook := c.takeExpired(now)
	stalled := c.stalledFor(t)
	ping := c.pingDue(t)
	c.letGo(t)
	c.mu.Unlock()

	if hook != nil {
		hook()
	}
	begun := c.keep.message.Load()
	switch {
	case stalled > cfg.StallAfter:
		c.fail()
	case begun != 0 && time.Duration(t-begun) > cfg.MessageWithin:
		c.Close(PolicyViolation, fmt.Sprintf("message not completed within %v", cfg.MessageWithin))
	case time.Duration(t-c.keep.heard.Load()) > cfg.IdleAfter:
		c.Close(GoingAway, fmt.Sprintf("idle: no message and no pong for %v", cfg.IdleAfter))
	case ping:
		_ = c.Send([]byte{finPing, 0}) // a connection that ends needs no ping
	}
}

// takeExpired returns the hook that is due. mu is held.
func (c *Conn) takeExpired(now time.Time) func() {
	if c.expiry.at.IsZero() || now.Before(c.expiry.at) {
		return nil
	}
	hook := c.expiry.hook
	c.expiry = expiry{}
	return hook
}

// stalledFor returns for how long the peer has taken nothing of what is queued. mu is held.
func (c *Conn) stalledFor(t int64) time.Duration {
	switch {
	case c.queue.size == 0:
		c.swept.since = 0
		return 0
	case c.swept.since == 0, c.swept.flushed != c.flushed: // a backlog counts from when it was first seen
		c.swept.since, c.swept.flushed = t, c.flushed
	}
	return time.Duration(t - c.swept.since)
}

// pingDue reports whether it is time for a ping, and sets the time of the next one. mu is held.
func (c *Conn) pingDue(t int64) bool {
	every := int64(c.set.cfg.PingEvery)
	if every < 0 || t < c.swept.pingAt {
		return false
	}
	c.swept.pingAt += every * (1 + (t-c.swept.pingAt)/every) // keeps its place in the interval
	return true
}

// onPing counts the peer's pings, and lets the library answer them unless they are too many.
func (c *Conn) onPing(context.Context, []byte) bool {
	if c.pings.add(c.set.cfg.Now()) <= c.set.cfg.PingsPerSecond {
		return true
	}
	c.Close(PolicyViolation, fmt.Sprintf("more than %d pings a second", c.set.cfg.PingsPerSecond))
	c.releaseInput() // there may be thousands more in it
	return false
}

func (c *Conn) onPong(context.Context, []byte) { c.keep.heard.Store(c.set.clock.Load()) }
