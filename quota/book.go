package quota

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/meter"
	"parley/tenants"
)

// Registry is where limits come from. Changes calls f in order from one goroutine; the others must not wait.
type Registry interface {
	Get(tenants.ID) (tenants.Tenant, error)
	List() []tenants.Tenant
	Changes(f func(tenants.Tenant)) (unregister func())
}

var _ Registry = (*tenants.Registry)(nil)

// Book has what this node knows of all tenants' limits. Run keeps it in step with the other nodes.
type Book struct {
	registry Registry
	peers    Peers
	log      *slog.Logger
	others   others
	start    time.Time                        // what clocks count from
	refused  map[tenants.Limit]*meter.Counter // of all tenants

	mu      sync.RWMutex
	tenants map[tenants.ID]*Tenant // guarded by mu
	lowered []func(tenants.ID)     // guarded by mu
}

// NewBook returns a Book for as long as the registry and the peers are there. Nothing is told to the peers before Run; nil
// means that there are none.
func NewBook(registry Registry, peers Peers, log *slog.Logger) *Book {
	b := &Book{registry: registry, peers: peers, log: log, start: time.Now(), tenants: map[tenants.ID]*Tenant{}}
	b.refused = map[tenants.Limit]*meter.Counter{}
	for _, info := range tenants.AllLimits() {
		b.refused[info.Limit] = &meter.Counter{}
	}
	if peers != nil && peers.Clustered() {
		b.others.join()
		peers.OnNodeLost(b.others.lose)
	}
	registry.Changes(b.changed)
	return b
}

// clock returns the time in nanoseconds since the Book was made, whatever becomes of the wall clock.
func (b *Book) clock() int64 { return int64(time.Since(b.start)) }

// Tenant returns what the Book has about a tenant, the same for as long as the tenant exists. For "", which is nobody's
// id, it is what counts for clients that have not said yet who they are.
func (b *Book) Tenant(id tenants.ID) *Tenant {
	b.mu.RLock()
	t := b.tenants[id]
	b.mu.RUnlock()
	if t != nil {
		return t
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t = b.tenants[id]; t == nil {
		t = newTenant(b, id)
		b.tenants[id] = t
		// A change since then comes through changed, which waits for mu.
		if known, err := b.registry.Get(id); err == nil {
			t.set(known.Limits)
		}
	}
	return t
}

// changed takes over the limits of a tenant that somebody has looked at.
func (b *Book) changed(now tenants.Tenant) {
	b.mu.Lock()
	t := b.tenants[now.ID]
	if now.Gone() {
		delete(b.tenants, now.ID)
	}
	tell := b.lowered
	b.mu.Unlock()
	if t == nil || !t.set(now.Limits) {
		return
	}
	for _, f := range tell {
		f(now.ID)
	}
}

// OnLowered has f called with every tenant whose connections are limited otherwise than before, one at a time; f must not
// wait. There is no way to take it back: it is meant for those who live as long as the Book.
func (b *Book) OnLowered(f func(tenants.ID)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lowered = append(b.lowered, f)
}

// Each calls f with what is counted of every tenant that was looked at.
func (b *Book) Each(f func(tenants.ID, Usage)) {
	b.mu.RLock()
	all := make([]*Tenant, 0, len(b.tenants))
	for _, t := range b.tenants {
		all = append(all, t)
	}
	b.mu.RUnlock()
	for _, t := range all {
		f(t.id, t.usage())
	}
}

// Usage is what this node has counted of one tenant since it started.
type Usage struct {
	Connections int                      // open now
	Runs        int                      // AI answers under way now
	Refused     map[tenants.Limit]uint64 // what a limit has refused; limits that have refused nothing are left out
}

// limit is one limit of a tenant. It is read on every message.
type limit struct {
	value   atomic.Int64 // unset, or what an operator has set
	refused meter.Counter
	total   *meter.Counter // of all tenants
}

func (l *limit) refuse() {
	l.refused.Inc()
	l.total.Inc()
}

const unset = -1

func (l *limit) or(byDefault int64) int64 {
	if v := l.value.Load(); v != unset {
		return v
	}
	return byDefault
}
