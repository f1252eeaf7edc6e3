package ws

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config tunes a Set. The zero value is ready to use.
type Config struct {
	PingEvery      time.Duration // between two pings to one peer. Defaults to 30s. Negative means never.
	IdleAfter      time.Duration // a connection without message and pong for so long is closed. Defaults to 5min.
	StallAfter     time.Duration // a peer that takes nothing of what is queued for so long is slow. Defaults to 10s.
	MessageWithin  time.Duration // how long one message may take from its first byte to its last. Defaults to 30s.
	CloseWithin    time.Duration // how long the peer may take to the end of a connection. Defaults to 5s.
	SweepEvery     time.Duration // how often Run looks at all connections. Defaults to 1s.
	PingsPerSecond int           // more pings than that from a peer end its connection. Defaults to 20.

	Now func() time.Time // the clock. Defaults to time.Now.
	Log *slog.Logger     // nil means discard.
}

func (cfg Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&cfg.PingEvery, 30 * time.Second},
		{&cfg.IdleAfter, 5 * time.Minute},
		{&cfg.StallAfter, 10 * time.Second},
		{&cfg.MessageWithin, 30 * time.Second},
		{&cfg.CloseWithin, 5 * time.Second},
		{&cfg.SweepEvery, time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if cfg.PingsPerSecond == 0 {
		cfg.PingsPerSecond = 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// Set is the connections of one edge, with all their goroutines. Close it to be rid of both.
type Set struct {
	cfg     Config
	pools   *pools
	unseen  *http.Request  // see Conn.attach
	clock   atomic.Int64   // nanoseconds; the time of the last Tick
	running sync.WaitGroup // readers and writers; a writer never outlives its reader

	mu      sync.Mutex
	conns   map[uint64]*Conn // guarded by mu
	lastID  uint64           // guarded by mu
	spread  uint64           // guarded by mu; spreads the pings
	closing *CloseError      // guarded by mu; nil until Close
	poller  *poller          // guarded by mu; nil until it is needed, and where there is none
}

// NewSet returns an empty Set. It starts nothing: see Run. The caller closes it.
func NewSet(cfg Config) *Set {
	s := &Set{cfg: cfg.withDefaults(), pools: newPools(), unseen: unseenRequest(), conns: map[uint64]*Conn{}}
	s.clock.Store(s.cfg.Now().UnixNano())
	return s
}

// Len returns how many connections there are, those that are ending included.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Close ends all connections gracefully with code and reason, refuses new ones, and returns when the last handler has
// returned. When ctx ends before that, the connections that are left are closed without a word, and Close returns ctx's
// error, still not before the last handler has returned.
func (s *Set) Close(ctx context.Context, code Code, reason string) error {
	s.mu.Lock()
	s.closing = &CloseError{Code: code, Reason: reason}
	s.mu.Unlock()
	for _, c := range s.snapshot() {
		c.Close(code, reason)
	}

	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		s.endPoller()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		for _, c := range s.snapshot() {
			c.CloseNow()
		}
		<-ended
		return ctx.Err()
	}
}

// reserve makes room for one more connection in the count of running goroutines, unless the Set is closing.
func (s *Set) reserve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing != nil {
		return false
	}
	s.running.Add(1)
	return true
}

// serve runs the handler of a connection for which reserve has made room, until the connection is silent or ends.
func (s *Set) serve(c *Conn) {
	c.brief = true
	for c.call(c.handle); c.silent; c.call(c.handle) {
		if c.silent = false; c.park() {
			return
		}
	}
	c.call(c.done)
	c.finish()
	s.remove(c)
	s.running.Done()
}

// call runs one of the functions that the connection was made with, which may be nil.
func (c *Conn) call(f func(*Conn)) {
	defer c.recovered()
	if f != nil {
		f(c)
	}
}

// recovered keeps a handler's panic from taking the other connections, of other tenants, with it.
func (c *Conn) recovered() {
	if p := recover(); p != nil {
		c.set.cfg.Log.Error("connection handler panicked", "panic", p, "stack", string(debug.Stack()))
		c.Close(InternalError, "internal error")
	}
}

func (s *Set) add(c *Conn) {
	s.mu.Lock()
	s.lastID++
	c.id = s.lastID
	s.conns[c.id] = c
	c.parking.poller = s.pollerFor(c)
	c.swept.pingAt = s.firstPing()
	closing := s.closing
	s.mu.Unlock()
	if closing != nil {
		c.Close(closing.Code, closing.Reason)
	}
}

func (s *Set) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c.id)
}

// snapshot returns the connections there are, for work without the lock.
func (s *Set) snapshot() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.conns))
}
