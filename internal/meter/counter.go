package meter

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Counter only grows. Adding costs one atomic addition.
type Counter struct{ n atomic.Uint64 }

// Add counts n events.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Inc counts one event.
func (c *Counter) Inc() { c.n.Add(1) }

// Value returns how many were counted.
func (c *Counter) Value() uint64 { return c.n.Load() }

// Gauge is a number of things that are there now.
type Gauge struct{ n atomic.Int64 }

// Add changes the number by n, which may be negative.
func (g *Gauge) Add(n int64) { g.n.Add(n) }

// Value returns the number.
func (g *Gauge) Value() int64 { return g.n.Load() }

// Counters counts by a label, which takes few values: what decides on it is the program and never a client. It is for
// what happens rarely, such as refusals; it takes a lock. The zero value is ready to use.
type Counters[K ~string] struct {
	mu sync.Mutex
	n  map[K]uint64 // guarded by mu
}

// Inc counts one event of a kind.
func (c *Counters[K]) Inc(kind K) { c.Add(kind, 1) }

// Add counts n events of a kind.
func (c *Counters[K]) Add(kind K, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[K]uint64{}
	}
	c.n[kind] += n
}

// Values returns a copy of all counts.
func (c *Counters[K]) Values() map[K]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}
