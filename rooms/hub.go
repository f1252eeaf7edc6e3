package rooms

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"parley/broker"
	"parley/internal/fault"
	"parley/internal/meter"
	"parley/internal/shared"
	"parley/internal/tick"
	"parley/quota"
)

// Config tunes a Hub. The zero value is ready to use.
type Config struct {
	Grace           time.Duration // how long a participant whose connection was lost keeps his place. Defaults to 20 s.
	MaxParticipants int           // in a room that does not say. Defaults to 16.
	DeclaredOnly    bool          // a room that nobody has made can't be joined
	KeepEmpty       time.Duration // how long a room that was made is kept while nobody is in it. Defaults to 24 h.
	Linger          time.Duration // how long a tenant without rooms stays ready. Defaults to 60 s.

	// ICE returns the servers by which a participant reaches the others. Nil means none.
	ICE func(participant string) []ICEServer
	// Quota returns what limits an account's tenant, of which rooms and participants count here. It must not wait. Nil means
	// that nothing is limited. The limits hold over all nodes, but for what happens on two of them at the same moment.
	Quota func(broker.AccountID) *quota.Tenant
}

func (c Config) withDefaults() Config {
	c.Grace = cmp.Or(c.Grace, 20*time.Second)
	c.MaxParticipants = cmp.Or(c.MaxParticipants, 16)
	c.KeepEmpty = cmp.Or(c.KeepEmpty, 24*time.Hour)
	c.Linger = cmp.Or(c.Linger, time.Minute)
	if c.ICE == nil {
		c.ICE = func(string) []ICEServer { return nil }
	}
	return c
}

// Hub is this node's access to all tenants' rooms. Run ends it.
type Hub struct {
	cfg    Config
	engine *broker.Engine
	log    *slog.Logger
	opened time.Time

	signals meter.Counter // that were taken

	spaces *shared.Table[broker.AccountID, *space]

	mu   sync.Mutex
	lost map[broker.Token]time.Time // when other nodes were found dead; guarded by mu
}

// NewHub returns a Hub. It is ready at once.
func NewHub(cfg Config, engine *broker.Engine, log *slog.Logger) (*Hub, error) {
	h := &Hub{cfg: cfg.withDefaults(), engine: engine, log: log, opened: time.Now(), lost: map[broker.Token]time.Time{}}
	h.spaces = shared.NewTable(h.openSpace, (*space).close)
	engine.OnNodeLost(h.nodeLost)
	return h, engine.OnService(h.welcome)
}

// Run waits until ctx ends, then closes everything and waits for all that the Hub has started. The sockets should be
// closed first. The participants stay in their rooms, for as long as those whose connections were lost.
func (h *Hub) Run(ctx context.Context) error {
	for now := range tick.Every(ctx, max(h.cfg.Linger/4, time.Millisecond)) {
		h.spaces.CloseIdle(now.Add(-h.cfg.Linger), (*space).idle)
	}
	h.spaces.Close()
	return nil
}

// Drop ends the use of a tenant that is suspended or deleted. The next use starts afresh.
func (h *Hub) Drop(account broker.AccountID) { h.spaces.Drop(account) }

func (h *Hub) release(s *space) { h.spaces.Release(s.account, s) }

// welcome opens the space of a tenant whose service has connected, if the tenant has ever had rooms: the service may ask
// about them, and wants to be told when somebody leaves.
func (h *Hub) welcome(account broker.AccountID) {
	h.spaces.Ahead(account, func(ctx context.Context) {
		known, err := h.known(ctx, account)
		if err == nil && known {
			var s *space
			if s, err = h.spaces.Acquire(ctx, account); err == nil {
				h.release(s)
			}
		}
		if err != nil {
			h.log.Warn("a tenant's rooms can't be opened for its services", "account", account, "err", err)
		}
	})
}

// nodeLost has all spaces look for the participants that a lost node has left behind.
func (h *Hub) nodeLost(node broker.Token) {
	h.mu.Lock()
	h.lost[node] = time.Now()
	h.mu.Unlock()
	for _, s := range h.spaces.Open() {
		s.wakeUp()
	}
}

// lostAt returns since when a node that does not live is known not to.
func (h *Hub) lostAt(node broker.Token) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, ok := h.lost[node]
	if !ok {
		at = h.opened
		if h.engine.Clustered() { // it may as well be one that has just come, and is not known here yet
			at = time.Now()
		}
		h.lost[node] = at
	}
	return at
}

func errDraining() error { return fault.New(fault.Draining, "The broker is shutting down.") }

func unreachable(err error) error {
	return broker.Unwritten(err, "The tenant can't be reached now.")
}
