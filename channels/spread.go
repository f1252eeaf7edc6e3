package channels

import (
	"context"
	"sync"
	"sync/atomic"

	"parley/internal/meter"
)

const (
	// spreadFrom is from how many members on a batch is worth waking others for.
	spreadFrom = 64
	// spreadStep is how many members somebody takes on at once.
	spreadStep = 16
)

// spread is one batch on its way to many members, whom several goroutines take on step by step. It belongs to a shard,
// which waits until all are served: every member gets its batches in order.
type spread struct {
	members []*Subscription
	batch   []byte
	entries []entry
	served  *meter.Counter // what was delivered
	next    atomic.Int64   // the first member that nobody has taken on
	helping sync.WaitGroup
}

// deliver sends a batch to members. Hands that have nothing to do help. On the shard.
func (s *shard) deliver(members []*Subscription, batch []byte, entries []entry) {
	if len(members) < spreadFrom {
		n := 0
		for _, m := range members {
			n += m.deliver(batch, entries)
		}
		s.hub.counts.delivered.Add(uint64(n))
		return
	}
	all := &s.spread
	all.members, all.batch, all.entries, all.served = members, batch, entries, &s.hub.counts.delivered
	all.next.Store(0)
	for range s.hub.cfg.Shards - 1 {
		all.helping.Add(1)
		select {
		case s.hub.hands <- all:
		default: // they are busy
			all.helping.Done()
		}
	}
	all.work()
	all.helping.Wait()
	all.members, all.batch, all.entries = nil, nil, nil
}

// work serves members until none is left.
func (all *spread) work() {
	n := 0
	defer func() { all.served.Add(uint64(n)) }()
	for {
		end := int(all.next.Add(spreadStep))
		start := end - spreadStep
		if start >= len(all.members) {
			return
		}
		for _, m := range all.members[start:min(end, len(all.members))] {
			n += m.deliver(all.batch, all.entries)
		}
	}
}

// help works for shards that have a batch for many, until ctx ends.
func (h *Hub) help(ctx context.Context) {
	for {
		select {
		case all := <-h.hands:
			all.work()
			all.helping.Done()
		case <-ctx.Done():
			return
		}
	}
}
