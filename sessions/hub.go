package sessions

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"parley/acks"
	"parley/broker"
	"parley/internal/shared"
	"parley/internal/trace"
	"parley/quota"
	"parley/tenants"
)

// Config tunes a Hub. The zero value is ready to use.
type Config struct {
	WorkerWait    time.Duration // how long a message waits for a worker to take it. Defaults to 30 s.
	WorkerSilence time.Duration // how long a worker that has taken one may be silent. Defaults to 10 s.
	AnswerLimit   time.Duration // how long one answer may take. Defaults to 15 minutes.
	Linger        time.Duration // how long a session that nothing happens in stays ready. Defaults to 30 s.

	// Quota returns what limits an account's tenant, of which runs and tokens count here. It must not wait. Nil means that
	// there are no limits.
	Quota func(broker.AccountID) *quota.Tenant

	Tracer *trace.Tracer   // follows what is said to its answer. Nil means that nobody wants to know.
	Meters *tenants.Meters // counts what tenants use. Nil means that nobody wants to know.
}

func (c Config) withDefaults() Config {
	c.WorkerWait = cmp.Or(c.WorkerWait, 30*time.Second)
	c.WorkerSilence = cmp.Or(c.WorkerSilence, 10*time.Second)
	c.AnswerLimit = cmp.Or(c.AnswerLimit, 15*time.Minute)
	c.Linger = cmp.Or(c.Linger, 30*time.Second)
	return c
}

// Hub is this node's access to all tenants' sessions. Run ends it.
type Hub struct {
	cfg       Config
	engine    *broker.Engine
	committer *acks.Committer
	log       *slog.Logger

	spaces  *shared.Table[broker.AccountID, *space] // never given back: workers may come at any time
	counts  counts
	waiting *waiting
}

// NewHub returns a Hub that stores through committer. It is ready at once.
func NewHub(cfg Config, engine *broker.Engine, committer *acks.Committer, log *slog.Logger) (*Hub, error) {
	h := &Hub{cfg: cfg.withDefaults(), engine: engine, committer: committer, log: log, counts: newCounts(), waiting: newWaiting(engine, log)}
	h.spaces = shared.NewTable(h.openSpace, (*space).close)
	engine.OnNodeLost(func(broker.Token) { h.recheck() })
	return h, engine.OnService(h.welcome)
}

// Run waits until ctx ends, then closes everything and waits for all that the Hub has started. The sockets should be
// closed first.
func (h *Hub) Run(ctx context.Context) error {
	var counting sync.WaitGroup
	counting.Go(func() { h.waiting.run(ctx) })
	defer counting.Wait()
	<-ctx.Done()
	h.spaces.Close()
	return nil
}

// Drop ends the use of a tenant that is suspended or deleted. The next use starts afresh.
func (h *Hub) Drop(account broker.AccountID) { h.spaces.Drop(account) }

// Ready makes the tenant's sessions ready for its services and for the workers of a queue, which can pull from it then.
func (h *Hub) Ready(ctx context.Context, account broker.AccountID, queue broker.Token) error {
	s, err := h.spaces.Acquire(ctx, account)
	if err != nil {
		return err
	}
	return s.conn.EnsureQueue(ctx, queue)
}

// welcome opens the space of a tenant whose service has connected: it may be a worker that goes on with an answer.
func (h *Hub) welcome(account broker.AccountID) {
	h.spaces.Ahead(account, func(ctx context.Context) {
		if _, err := h.spaces.Acquire(ctx, account); err != nil {
			h.log.Warn("a tenant's sessions can't be opened for its services", "account", account, "err", err)
		}
	})
}

// recheck has all spaces look for what a lost node has left unfinished.
func (h *Hub) recheck() {
	for _, s := range h.spaces.Open() {
		s.recheck()
	}
}

// enter checks who wants to use which session, as far as that needs no look into the store.
func (h *Hub) enter(ctx context.Context, p Principal, id string) (*space, broker.Token, error) {
	if err := p.check(); err != nil {
		return nil, "", err
	}
	sid, err := broker.ParseToken(id)
	if err != nil {
		return nil, "", err
	}
	s, err := h.spaces.Acquire(ctx, p.Account)
	return s, sid, err
}
