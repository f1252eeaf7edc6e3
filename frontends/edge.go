package frontends

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"parley/channels"
	"parley/frontends/agents"
	"parley/frontends/assistant"
	"parley/frontends/bots"
	"parley/frontends/chat"
	"parley/frontends/conversation"
	"parley/frontends/door"
	"parley/frontends/handshake"
	"parley/frontends/meet"
	"parley/frontends/tenantchat"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/meter"
	"parley/internal/trace"
	"parley/quota"
	"parley/rooms"
	"parley/sessions"
	"parley/tenants"
)

const (
	// headerWithin and maxHeaderBytes bound what somebody unknown can hold without having said anything.
	headerWithin   = 5 * time.Second
	maxHeaderBytes = 16 << 10
	// requestWithin bounds a request that is no WebSocket, from its first byte to the last of its answer.
	requestWithin = 30 * time.Second
	idleWithin    = 2 * time.Minute
)

// Config tunes an Edge. The zero value is ready to use.
type Config struct {
	Sockets   ws.Config
	Assistant assistant.Config
	Bots      bots.Config
	Meet      meet.Config
	ChatPage  bool            // serve the chat page at /
	MeetPage  bool            // serve the page for calls at /meet
	Traces    *trace.Provider // where spans go. Nil means nowhere.
	Meters    *tenants.Meters // counts what tenants use. Nil means that nobody wants to know.

	Quota          *quota.Book    // of this node's limits. Defaults to one of the Edge's own.
	TrustedProxies []netip.Prefix // that are believed what they say of their clients' addresses

	DrainTimeout time.Duration // how long clients have to take what is theirs when the edge ends. Defaults to 10s.
}

// Edge is one node's side towards its clients.
type Edge struct {
	cfg      Config
	registry *tenants.Registry
	hub      *channels.Hub
	talks    *sessions.Hub
	meetings *rooms.Hub
	log      *slog.Logger

	book       *quota.Book
	set        *ws.Set
	door       *door.Door
	desk       *conversation.Desk
	agents     *agents.Dialect
	chat       *chat.Dialect
	assistant  *assistant.Dialect
	tenantchat *tenantchat.Dialect
	bots       *bots.Dialect
	meet       *meet.Dialect
	end        context.CancelFunc // of what connections wait for

	refused meter.Counters[fault.Code] // requests that were no handshakes
	served  map[string]verbs           // by path, what answers requests; nothing changes it after routes
}

// New returns an Edge over these parts, which stay the caller's. It serves nobody before Serve.
func New(cfg Config, registry *tenants.Registry, hub *channels.Hub, talks *sessions.Hub, meetings *rooms.Hub, log *slog.Logger) *Edge {
	cfg.DrainTimeout = cmp.Or(cfg.DrainTimeout, 10*time.Second)
	life, end := context.WithCancel(context.Background())
	e := &Edge{cfg: cfg, registry: registry, hub: hub, talks: talks, meetings: meetings, log: log, set: ws.NewSet(cfg.Sockets), end: end}
	if e.book = cfg.Quota; e.book == nil {
		e.book = quota.NewBook(registry, nil, log)
	}
	e.door = door.New(e.set, registry, door.Config{
		Dialects: dialects(), Quota: e.book, Trusted: cfg.TrustedProxies, Meters: cfg.Meters, Log: log,
	})
	e.agents = agents.New(life, hub, e.door, registry, trace.New(cfg.Traces, "agents"), log)
	e.desk = conversation.New(life, e.door, talks, registry, cfg.Traces != nil, log)
	e.chat = chat.New(e.desk)
	e.assistant = assistant.New(cfg.Assistant, e.desk, registry)
	e.tenantchat = tenantchat.New(e.desk, registry)
	e.bots = bots.New(cfg.Bots, e.desk, registry)
	e.meet = meet.New(cfg.Meet, e.desk, meetings, registry)
	return e
}

// Connections returns how many WebSocket connections are open.
func (e *Edge) Connections() int { return e.set.Len() }

// Serve answers clients on all listeners, which it closes, until ctx ends. Then it drains: it accepts nobody, answers
// what it has taken, and closes the connections with 1012, so that clients come back to where the service goes on.
func (e *Edge) Serve(ctx context.Context, listeners ...net.Listener) error {
	defer e.end()
	server := handshake.New(&http.Server{
		Handler:           e.routes(),
		ReadHeaderTimeout: headerWithin,
		ReadTimeout:       requestWithin,
		WriteTimeout:      requestWithin,
		IdleTimeout:       idleWithin,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(e.log.Handler(), slog.LevelDebug),
	})
	defer e.registry.Changes(e.tenantChanged)()
	sweeping, stopSweeping := context.WithCancel(context.Background())
	var sweeper sync.WaitGroup
	sweeper.Go(func() { _ = e.set.Run(sweeping) })
	defer sweeper.Wait()
	defer stopSweeping()

	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Serve(listeners...) })
	g.Go(func() error {
		<-running.Done()
		return e.drain(server)
	})
	return g.Wait()
}

// tenantChanged brings the open connections in line with what their tenant is now.
func (e *Edge) tenantChanged(t tenants.Tenant) {
	e.door.Recheck(&t)
	if t.Suspended() || t.Gone() {
		e.hub.Drop(t.ID)
		e.talks.Drop(t.Account)
		e.meetings.Drop(t.Account)
	}
}

func (e *Edge) drain(server *handshake.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), e.cfg.DrainTimeout)
	defer cancel()
	e.agents.Drain()
	e.desk.Drain()
	e.log.Info("draining", "connections", e.set.Len())
	var g errgroup.Group
	g.Go(func() error { return server.Shutdown(ctx) })
	g.Go(func() error {
		e.awaitAcks(ctx)
		return e.set.Close(ctx, ws.Restarting, "the broker is restarting; connect again")
	})
	return g.Wait()
}

// awaitAcks waits until every message that was taken has been answered, which its publisher's timeout bounds.
func (e *Edge) awaitAcks(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for e.agents.Unacked() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
