package quota

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"parley/broker"
	"parley/tenants"
)

// Servers are the NATS servers that services connect to. OnServiceHere calls f when a service may begin to publish; f must
// not wait. A broker.Engine is one.
type Servers interface {
	NewServiceMeter() *broker.ServiceMeter
	OnServiceHere(f func(broker.Service)) error
	Cut(broker.Service)
}

var _ Servers = (*broker.Engine)(nil)

// guardEvery is how often a Guard looks: for how long a service may publish as fast as it can before it is noticed.
const guardEvery = 250 * time.Millisecond

// Guard cuts off services that publish with plain NATS faster than their tenants may. The server takes what they send
// without asking anybody, so that they are judged by what they have sent: who has sent too much is disconnected, and the
// tenant's services are kept out until all that they have sent would have been sent at the allowed speed.
type Guard struct {
	book    *Book
	servers Servers
	log     *slog.Logger

	paces  map[broker.AccountID]*pace // of the tenants that are limited; Run's
	looked int64                      // when, by the Book's clock; Run's

	mu      sync.Mutex
	changed map[tenants.ID]bool // guarded by mu; who is to be looked at
	out     map[string]outcast  // guarded by mu; by the key of the account
}

// outcast is a tenant whose services are kept out.
type outcast struct {
	limit   *limit
	workers map[string]bool // who may come all the same
}

// NewGuard returns a Guard over the tenants of a Book. It guards nothing before Run.
func NewGuard(book *Book, servers Servers, log *slog.Logger) (*Guard, error) {
	g := &Guard{
		book: book, servers: servers, log: log,
		paces: map[broker.AccountID]*pace{}, changed: map[tenants.ID]bool{}, out: map[string]outcast{},
	}
	book.registry.Changes(func(t tenants.Tenant) { g.note(t.ID) })
	for _, t := range book.registry.List() {
		if slow, few := servicesOf(t); slow > 0 || few > 0 {
			g.note(t.ID)
		}
	}
	return g, servers.OnServiceHere(g.welcome)
}

func (g *Guard) note(id tenants.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changed[id] = true
}

// Run guards until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	meter := g.servers.NewServiceMeter()
	for {
		g.takeOver()
		if len(g.paces) > 0 {
			g.look(meter)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// takeOver looks at the tenants that were changed.
func (g *Guard) takeOver() {
	g.mu.Lock()
	changed := g.changed
	g.changed = map[tenants.ID]bool{}
	g.mu.Unlock()
	for id := range changed {
		t, err := g.book.registry.Get(id)
		if err != nil {
			t = tenants.Tenant{ID: id}
		}
		g.adopt(t)
	}
}

// adopt takes over what a tenant may do now. Whoever was kept out for a limit that was changed is let in again.
func (g *Guard) adopt(t tenants.Tenant) {
	messages, bytes := servicesOf(t)
	for account, p := range g.paces {
		if p.id != t.ID {
			continue
		}
		if account == t.Account && p.perSecond == messages && p.bytesPerSecond == bytes {
			p.workers = workersOf(t)
			return
		}
		delete(g.paces, account)
		g.readmit(p)
	}
	if messages > 0 || bytes > 0 {
		g.paces[t.Account] = &pace{id: t.ID, perSecond: messages, bytesPerSecond: bytes, workers: workersOf(t)}
	}
}

// look measures all, and acts on it.
func (g *Guard) look(meter *broker.ServiceMeter) {
	accounts := make([]broker.AccountID, 0, len(g.paces))
	for id := range g.paces {
		accounts = append(accounts, id)
	}
	now := g.book.clock()
	elapsed := now - g.looked
	g.looked = now
	err := meter.Measure(accounts, func(id broker.AccountID, sent broker.Traffic) {
		p := g.paces[id]
		if fast := p.judge(now, elapsed, sent); p.over != "" {
			g.expel(p, fast)
		}
	})
	if err != nil {
		g.log.Warn("what services publish can't be measured now", "err", err)
	}
	for _, p := range g.paces {
		if p.over != "" && p.settled(now) {
			g.readmit(p)
		}
	}
}

// expel cuts services off, and keeps others out until the tenant has settled.
func (g *Guard) expel(p *pace, fast []broker.Service) {
	limit := g.book.Tenant(p.id).limitOf(p.over)
	g.mu.Lock()
	g.out[p.key] = outcast{limit, p.workers}
	g.mu.Unlock()
	for _, s := range fast {
		g.servers.Cut(s)
		limit.refuse()
		g.log.Warn("a service was cut off: the tenant's services publish too fast",
			"tenant", p.id, "user_key", s.UserKey, "address", s.Address, "limit", p.over, "out_for", p.owed(g.book.clock()))
	}
}

// readmit lets a tenant's services connect again.
func (g *Guard) readmit(p *pace) {
	if p.over == "" {
		return
	}
	p.over = ""
	g.mu.Lock()
	delete(g.out, p.key)
	g.mu.Unlock()
	g.log.Info("a tenant's services may connect again", "tenant", p.id)
}

// welcome turns a service away whose tenant is kept out.
func (g *Guard) welcome(s broker.Service) {
	g.mu.Lock()
	o, out := g.out[s.AccountKey]
	g.mu.Unlock()
	if out && !o.workers[s.UserKey] {
		g.servers.Cut(s)
		o.limit.refuse()
	}
}
