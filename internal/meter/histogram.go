package meter

import (
	"sync/atomic"
	"time"
)

// Histogram counts durations by how long they are.
type Histogram struct {
	bounds []time.Duration // ascending; one count more than these
	counts []atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// NewHistogram returns a Histogram with these upper bounds, which ascend. What is longer than all of them is counted, too.
func NewHistogram(bounds ...time.Duration) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// Bounds for what a disk or a network takes, and for what people and language models take.
func fine() []time.Duration {
	return []time.Duration{
		250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
		25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, time.Second, 4 * time.Second,
	}
}

func coarse() []time.Duration {
	return []time.Duration{
		50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond,
		5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour,
	}
}

// Fine returns a Histogram for what a disk or a network takes: 250 µs to 4 s.
func Fine() *Histogram { return NewHistogram(fine()...) }

// Coarse returns a Histogram for what people and language models take: 50 ms to an hour.
func Coarse() *Histogram { return NewHistogram(coarse()...) }

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Distribution is what a Histogram has counted.
type Distribution struct {
	Count   uint64
	Seconds float64            // all durations together
	Within  map[float64]uint64 // how many were at most so many seconds long
}

// Read returns what was counted. What is counted meanwhile may be in it or not.
func (h *Histogram) Read() Distribution {
	d := Distribution{Within: make(map[float64]uint64, len(h.bounds))}
	for i := range h.counts {
		d.Count += h.counts[i].Load()
		if i < len(h.bounds) {
			d.Within[h.bounds[i].Seconds()] = d.Count
		}
	}
	d.Seconds = time.Duration(h.sum.Load()).Seconds()
	return d
}
