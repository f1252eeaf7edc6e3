// Package tick has something done again and again.
package tick

import (
	"context"
	"iter"
	"time"
)

// Every yields the time after each interval until ctx ends. A loop that takes longer than that misses some.
func Every(ctx context.Context, interval time.Duration) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				if !yield(now) {
					return
				}
			}
		}
	}
}
