package channels

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"parley/acks"
	"parley/broker"
	"parley/internal/fault"
	"parley/internal/tick"
	"parley/quota"
	"parley/tenants"
)

// Config tunes a Hub. Frame is required; the rest has defaults.
type Config struct {
	// Frame appends one message to dst as it goes over the wire. It is called once a message, not once a delivery.
	Frame func(dst, message []byte) []byte

	RingMessages int           // newest messages a topic keeps in memory. Defaults to 128.
	RingBytes    int           // and how many bytes of them. Defaults to 64 KiB.
	Linger       time.Duration // how long a topic or tenant that nobody uses stays ready. Defaults to 60 s.
	Shards       int           // goroutines that fan out. Defaults to the number of CPUs.
	Readers      int64         // replays that read from the store at the same time. Defaults to 64.
	Quota        *quota.Book   // limits the channels of tenants. Nil means that they are not limited.
	Publish      acks.Config   // Resend is set where it is needed, Meter for each tenant

	Policies func(tenants.ID) tenants.Policies // of a tenant that is opened; see Hub.SetPolicies. Nil means that there are none.
	Tenants  func() []tenants.Tenant           // all that there are, whose policies hold while nobody is connected, too. Nil means none.

	Meters *tenants.Meters // counts what tenants store. Nil means that nobody wants to know.
}

func (c Config) withDefaults() Config {
	c.RingMessages = cmp.Or(c.RingMessages, 128)
	c.RingBytes = cmp.Or(c.RingBytes, 64<<10)
	c.Linger = cmp.Or(c.Linger, time.Minute)
	c.Shards = cmp.Or(c.Shards, runtime.GOMAXPROCS(0))
	c.Readers = cmp.Or(c.Readers, 64)
	return c
}

// Hub is this node's fan-out. Run drives it; Open gives access to one tenant.
type Hub struct {
	cfg       Config
	engine    *broker.Engine
	committer *acks.Committer
	log       *slog.Logger

	shards  []*shard
	hands   chan *spread // to those who help shards; never holds anything
	seed    maphash.Seed
	readers *semaphore.Weighted
	tasks   sync.WaitGroup // replays and repairs; they end when life does
	life    context.Context
	end     context.CancelFunc
	looks   looks
	counts  counts

	trimmed, trimmedClosed time.Time // when trimAll was at work last; owned by Run

	mu     sync.Mutex
	spaces map[tenants.ID]*Space // guarded by mu
	closed bool                  // guarded by mu

	trimmers map[tenants.ID]*trimmer // guarded by mu
}

// NewHub returns a Hub that stores through committer. Nothing is delivered before Run.
func NewHub(cfg Config, engine *broker.Engine, committer *acks.Committer, log *slog.Logger) *Hub {
	cfg = cfg.withDefaults()
	cfg.Publish.Resend = engine.Clustered()
	h := &Hub{
		cfg: cfg, engine: engine, committer: committer, log: log,
		hands: make(chan *spread), seed: maphash.MakeSeed(), readers: semaphore.NewWeighted(cfg.Readers), spaces: map[tenants.ID]*Space{},
		looks:    looks{due: map[*topic]time.Time{}},
		trimmers: map[tenants.ID]*trimmer{}, trimmedClosed: time.Now().Add(trimClosedFirst - trimClosedEvery),
	}
	h.life, h.end = context.WithCancel(context.Background())
	for i := range cfg.Shards {
		h.shards = append(h.shards, newShard(h, i))
	}
	engine.OnNodeLost(func(broker.Token) { h.eachRoster((*roster).buryDead) })
	engine.OnReturn(func() { h.eachRoster((*roster).saveAll) })
	return h
}

// eachRoster calls f for the roster of every open tenant.
func (h *Hub) eachRoster(f func(*roster)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.spaces {
		select {
		case <-s.ready:
			if s.err == nil {
				f(s.roster)
			}
		default: // it will see for itself when it opens
		}
	}
}

// Run delivers until ctx ends, then closes every Space and waits for all that the Hub has started. The sockets should be
// closed first.
func (h *Hub) Run(ctx context.Context) error {
	var g errgroup.Group
	running, stop := context.WithCancel(context.Background())
	for _, s := range h.shards {
		g.Go(func() error { s.run(running); return nil })
	}
	for range h.cfg.Shards - 1 {
		g.Go(func() error { h.help(running); return nil })
	}
	for now := range tick.Every(ctx, min(h.cfg.Linger/4, time.Second)) {
		h.sweep(now.Add(-h.cfg.Linger))
		h.look(now)
		h.trimAll(now)
	}
	h.mu.Lock()
	h.closed = true
	all := h.spaces
	h.spaces = nil
	h.mu.Unlock()
	for _, s := range all {
		s.close()
	}
	h.end()
	h.tasks.Wait()
	stop()
	return g.Wait()
}

// Open returns this node's part of a tenant, made ready at the first call. The caller closes it with Space.Release.
func (h *Hub) Open(ctx context.Context, tenant tenants.ID, account broker.AccountID) (*Space, error) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, fault.New(fault.Draining, "The broker is shutting down.")
	}
	s := h.spaces[tenant]
	if s != nil && s.account != account { // another one has taken the tenant's place, out of a backup
		h.task(s.close)
		s = nil
	}
	first := s == nil
	if first {
		s = newSpace(h, tenant, account)
		h.spaces[tenant] = s
	}
	s.refs++
	h.mu.Unlock()
	if first {
		if s.err = s.open(h.life); s.err != nil {
			s.end()
		}
		close(s.ready)
	}
	select {
	case <-s.ready:
	case <-ctx.Done():
		s.Release()
		return nil, unreachable(ctx.Err())
	}
	if s.err != nil {
		h.forget(s)
		return nil, s.err
	}
	return s, nil
}

func (h *Hub) forget(s *Space) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.spaces[s.tenant] == s {
		delete(h.spaces, s.tenant)
	}
}

// Drop ends the use of a tenant that is suspended or deleted: what is subscribed gets nothing more, and the next Open
// starts afresh.
func (h *Hub) Drop(tenant tenants.ID) {
	h.mu.Lock()
	s := h.spaces[tenant]
	delete(h.spaces, tenant)
	h.mu.Unlock()
	if s != nil {
		s.close()
	}
}

// sweep closes what nobody has used since the given time.
func (h *Hub) sweep(since time.Time) {
	var idle, busy []*Space
	h.mu.Lock()
	for id, s := range h.spaces {
		if s.refs == 0 && s.idle.Before(since) {
			idle = append(idle, s)
			delete(h.spaces, id)
		} else {
			busy = append(busy, s)
		}
	}
	h.mu.Unlock()
	for _, s := range idle {
		s.close()
	}
	for _, s := range busy {
		s.sweep(since)
	}
}

// task runs f on a goroutine that Run waits for. f must end soon after h.life.
func (h *Hub) task(f func()) { h.tasks.Go(f) }

// shardOf spreads channels over the shards. The inboxes of a tenant share one, as they share a subscription.
func (h *Hub) shardOf(a Address) *shard {
	var hash maphash.Hash
	hash.SetSeed(h.seed)
	_, _ = hash.WriteString(string(a.Tenant))
	_, _ = hash.WriteString(string(a.Channel))
	return h.shards[hash.Sum64()%uint64(len(h.shards))]
}
