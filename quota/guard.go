package quota

import (
	"context"
	"log/slog"
	"slices"
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
	BarUsers(ctx context.Context, accountKey string, users []string) error
}

var _ Servers = (*broker.Engine)(nil)

const (
	// guardEvery is how often a Guard looks: for how long a service may publish as fast as it can before it is noticed.
	guardEvery = 250 * time.Millisecond
	// hurryEvery and hurried say who does not wait before it connects again: one that has come so often in so many looks.
	// The clients of services wait two seconds. Who connects is heard a moment before it is disconnected.
	hurryEvery, hurried = 10, 20
)

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
	out     map[string]*outcast // guarded by mu; by the key of the account
}

// outcast is a tenant whose services are kept out.
type outcast struct {
	limit   *limit
	workers map[string]bool // who may come all the same
	came    map[string]int  // how often, by the key of the user
	barred  []string        // who has come too often, and does not get in any more
	news    bool            // barred is not in force yet
}

// NewGuard returns a Guard over the tenants of a Book. It guards nothing before Run.
func NewGuard(book *Book, servers Servers, log *slog.Logger) (*Guard, error) {
	g := &Guard{
		book: book, servers: servers, log: log,
		paces: map[broker.AccountID]*pace{}, changed: map[tenants.ID]bool{}, out: map[string]*outcast{},
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
	for n := 0; ; n++ {
		g.takeOver(ctx)
		if len(g.paces) > 0 {
			g.look(ctx, meter)
			g.bar(ctx, n%hurryEvery == 0)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// takeOver looks at the tenants that were changed.
func (g *Guard) takeOver(ctx context.Context) {
	g.mu.Lock()
	changed := g.changed
	g.changed = map[tenants.ID]bool{}
	g.mu.Unlock()
	for id := range changed {
		t, err := g.book.registry.Get(id)
		if err != nil {
			t = tenants.Tenant{ID: id}
		}
		g.adopt(ctx, t)
	}
}

// adopt takes over what a tenant may do now. Whoever was kept out for a limit that was changed is let in again.
func (g *Guard) adopt(ctx context.Context, t tenants.Tenant) {
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
		g.readmit(ctx, p)
	}
	if messages > 0 || bytes > 0 {
		g.paces[t.Account] = &pace{id: t.ID, perSecond: messages, bytesPerSecond: bytes, workers: workersOf(t)}
	}
}

// look measures all, and acts on it.
func (g *Guard) look(ctx context.Context, meter *broker.ServiceMeter) {
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
			g.readmit(ctx, p)
		}
	}
}

// expel cuts services off, and keeps others out until the tenant has settled.
func (g *Guard) expel(p *pace, fast []broker.Service) {
	limit := g.book.Tenant(p.id).limitOf(p.over)
	g.mu.Lock()
	if o := g.out[p.key]; o != nil {
		o.limit, o.workers = limit, p.workers
	} else {
		g.out[p.key] = &outcast{limit: limit, workers: p.workers, came: map[string]int{}}
	}
	g.mu.Unlock()
	for _, s := range fast {
		g.servers.Cut(s)
		limit.refuse()
		g.log.Warn("a service was cut off: the tenant's services publish too fast",
			"tenant", p.id, "user_key", s.UserKey, "address", s.Address, "limit", p.over, "out_for", p.owed(g.book.clock()))
	}
}

// bar has the server refuse those who connect again and again, and counts anew how often they come.
func (g *Guard) bar(ctx context.Context, anew bool) {
	g.mu.Lock()
	bar := map[string][]string{}
	for key, o := range g.out {
		if o.news {
			o.news, bar[key] = false, slices.Clone(o.barred)
		}
		if anew {
			clear(o.came)
		}
	}
	g.mu.Unlock()
	for key, users := range bar {
		if err := g.servers.BarUsers(ctx, key, users); err != nil {
			g.log.Warn("services that connect again and again could not be barred", "err", err)
			continue
		}
		g.log.Warn("services that were cut off and connect again and again are refused", "user_keys", users)
	}
}

// readmit lets a tenant's services connect again.
func (g *Guard) readmit(ctx context.Context, p *pace) {
	if p.over == "" {
		return
	}
	p.over = ""
	g.mu.Lock()
	o := g.out[p.key]
	delete(g.out, p.key)
	g.mu.Unlock()
	if o != nil && len(o.barred) > 0 {
		if err := g.servers.BarUsers(ctx, p.key, nil); err != nil { // the tenant is deleted
			g.log.Warn("services can't be let in again", "tenant", p.id, "err", err)
		}
	}
	g.log.Info("a tenant's services may connect again", "tenant", p.id)
}

// welcome turns a service away whose tenant is kept out.
func (g *Guard) welcome(s broker.Service) {
	g.mu.Lock()
	o := g.out[s.AccountKey]
	if o == nil || o.workers[s.UserKey] {
		g.mu.Unlock()
		return
	}
	if o.came[s.UserKey]++; o.came[s.UserKey] > hurried {
		o.news = true
		if !slices.Contains(o.barred, s.UserKey) {
			o.barred = append(o.barred, s.UserKey)
		}
	}
	limit := o.limit
	g.mu.Unlock()
	g.servers.Cut(s)
	limit.refuse()
}
