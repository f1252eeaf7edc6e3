package tenants

import (
	"context"
	"sync"
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

// add never blocks.
func (n *news) add(id ID) {
	n.mu.Lock()
	n.ids[id] = struct{}{}
	n.mu.Unlock()
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

// conformAll has the server follow the registry until ctx ends. A tenant that is being changed is left to whoever does
// that; its next record comes here again.
func (r *Registry) conformAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.news.bell:
		}
		for id := range r.news.take() {
			res, ok := r.resident(id)
			if !ok || !res.tenant.State.settled() {
				continue
			}
			if err := r.engine.ConformAccount(res.tenant.account()); err != nil {
				r.log.Error("The NATS server of this node may still let in whom a tenant has shut out.", "tenant", res.tenant, "error", err)
			}
		}
	}
}
