package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// latencies counts durations in buckets of 3% width. It may be used concurrently.
type latencies struct {
	counts [latencyBuckets]atomic.Uint64
	most   atomic.Int64 // microseconds
}

// Each power of two of microseconds has 32 buckets; the first 64 microseconds have one each.
const (
	latencySteps   = 32
	latencyBuckets = 32 * latencySteps
)

func latencyBucket(micros uint32) int {
	if micros < 2*latencySteps {
		return int(micros)
	}
	shift := bits.Len32(micros) - 6 // leaves the highest 6 bits, of which the first is 1
	return shift*latencySteps + int(micros>>shift)
}

// latencyOf returns the middle of a bucket in microseconds.
func latencyOf(bucket int) float64 {
	if bucket < 2*latencySteps {
		return float64(bucket)
	}
	shift := bucket/latencySteps - 1
	low := (bucket - shift*latencySteps) << shift
	return float64(low) + float64(int(1)<<shift)/2
}

func (l *latencies) add(micros uint32) {
	l.counts[latencyBucket(micros)].Add(1)
	for {
		most := l.most.Load()
		if int64(micros) <= most || l.most.CompareAndSwap(most, int64(micros)) {
			return
		}
	}
}

func (l *latencies) reset() {
	for i := range l.counts {
		l.counts[i].Store(0)
	}
	l.most.Store(0)
}

// Latency is how long things took, in milliseconds. The percentiles are exact to 3%.
type Latency struct {
	P50 float64 `json:"p50_ms"`
	P90 float64 `json:"p90_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// summary returns nil when nothing was counted.
func (l *latencies) summary() *Latency {
	total := uint64(0)
	for i := range l.counts {
		total += l.counts[i].Load()
	}
	if total == 0 {
		return nil
	}
	most := float64(l.most.Load()) / 1000
	at := func(share float64) float64 {
		left := uint64(share*float64(total)) + 1
		for i := range l.counts {
			if n := l.counts[i].Load(); n < left {
				left -= n
			} else {
				return min(latencyOf(i)/1000, most)
			}
		}
		return most
	}
	return &Latency{P50: at(0.50), P90: at(0.90), P99: at(0.99), Max: most}
}

// micros is a duration as latencies count it.
func micros(d time.Duration) uint32 { return uint32(max(0, min(d, maxRun)) / time.Microsecond) }
