package quota

import (
	"math"
	"sync/atomic"
)

// rate measures what many connections do together, by the time at which all that was taken would have been taken at
// exactly the allowed speed (the generic cell rate algorithm). Nothing runs for it, and a new limit counts at once.
type rate struct {
	due atomic.Int64 // on the Book's clock
}

const second = int64(1e9)

// take takes n at the time now if that is within limit a second, and reports whether it is. A second's worth may come at
// once. limit is not 0. More than a second's worth is taken when nothing was before.
func (r *rate) take(now, n, limit int64) bool {
	for {
		due := r.due.Load()
		next, ok := spend(due, now, n, limit, second)
		if !ok {
			return false
		}
		if r.due.CompareAndSwap(due, next) {
			return true
		}
	}
}

// endless is the longest wait that there is.
const endless = math.MaxInt64 - second

// wait takes n and returns for how many nanoseconds whoever brings it is to wait, so that limit a second is kept. Nobody
// waits longer than most: what would have to is not taken.
func (r *rate) wait(now, n, limit, most int64) int64 {
	for {
		due := r.due.Load()
		next, ok := spend(due, now, n, limit, second+most)
		if !ok {
			return most
		}
		if r.due.CompareAndSwap(due, next) {
			return min(max(0, next-now-second), most)
		}
	}
}

// spend moves due on by n at limit a second, unless it would come to lie further ahead of now than burst.
func spend(due, now, n, limit, burst int64) (next int64, ok bool) {
	start := max(due, now)
	next = start + n*second/limit
	return next, next-now <= burst || start == now
}
