package bench

import (
	"context"
	"time"
)

// paceTick is how long the pacer rests at least, so that it sends several messages for one look at the clock.
const paceTick = 500 * time.Microsecond

// pace sends the streams' messages in turn at the flow's rate, until ctx ends. What a broker that takes nothing more
// holds up is sent when it takes it, and counts in the rate that was reached.
func (f *flow) pace(ctx context.Context) {
	began := time.Now()
	var touched []*publisher
	for next := 0; ; {
		rest := max(paceTick, time.Until(began.Add(f.due(next))))
		if !pause(ctx, rest) {
			return
		}
		now := time.Now()
		for ; f.due(next) <= now.Sub(began); next++ {
			s := f.all[next%len(f.all)]
			if s.ledger.room() == 0 {
				break // the acknowledgements are far behind
			}
			if len(s.sender.batch) == 0 {
				touched = append(touched, s.sender)
			}
			s.sender.add(s, now)
		}
		for _, p := range touched {
			if p.flush() != nil {
				continue // its end is noted when the connection is closed
			}
		}
		touched = touched[:0]
	}
}

// due is when message n of the run is to be sent, after its beginning.
func (f *flow) due(n int) time.Duration {
	return time.Duration(float64(n) / f.rate * float64(time.Second))
}
