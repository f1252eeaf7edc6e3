package tenants

import (
	"context"
	"sync"
	"time"
)

// news are tenants that have changed, whose accounts are still to be compared with what this node's NATS server goes by.
// Whoever has changed a tenant has told the servers that could be reached; a node that was cut off from the others learns
// of it here, when the record comes.
type news struct {
	mu  sync.Mutex
	ids map[ID]struct{} // guarded by mu

	bell chan struct{}
}

func newNews() *news { return &news{ids: map[ID]struct{}{}, bell: make(chan struct{}, 1)} }

// keep adds a tenant that is to be compared with the next ones.
func (n *news) keep(id ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ids[id] = struct{}{}
}

// add never blocks.
func (n *news) add(id ID) {
	n.keep(id)
	select {
	case n.bell <- struct{}{}:
	default: // it rings already
	}
}

// take returns all that was added, once.
func (n *news) take() map[ID]struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.ids
	n.ids = map[ID]struct{}{}
	return all
}

// conformAgain is the pause before what has failed is tried again, as when the disk is full.
const conformAgain = 2 * time.Second

// conformAll has the server follow the registry until ctx ends. A tenant that is being changed is left to whoever does
// that; its next record comes here again.
func (r *Registry) conformAll(ctx context.Context) {
	var again <-chan time.Time // nil when nothing has failed
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.news.bell:
		case <-again:
		}
		again = nil
		for id := range r.news.take() {
			res, ok := r.resident(id)
			if !ok || !res.tenant.State.settled() {
				continue
			}
			if err := r.engine.ConformAccount(res.tenant.account()); err != nil {
				r.log.Error("The NATS server of this node may still let in whom a tenant has shut out; it is tried again.", "tenant", res.tenant, "error", err)
				r.news.keep(id)
				again = time.After(conformAgain)
			}
		}
	}
}
