package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"parley/acks"
	"parley/admin"
	"parley/admin/adminkey"
	"parley/broker"
	"parley/channels"
	"parley/frontends"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/loglevel"
	"parley/internal/meter"
	"parley/internal/trace"
	"parley/quota"
	"parley/rooms"
	"parley/sessions"
	"parley/tenants"
)

// nodeConfig is what a node needs to know.
type nodeConfig struct {
	Broker      broker.Config
	Tenants     tenants.Config
	Sessions    sessions.Config
	Rooms       rooms.Config
	Edge        frontends.Config
	Listen      []string // where clients connect
	ListenToo   []string // the same, but left out when they are in use
	AdminListen string

	AuditRetention time.Duration
	LogLevel       *loglevel.Dial  // of the log. Nil means that nothing comes of changing it.
	Secrets        []*secretFile   // that may be replaced while the node runs
	Traces         *trace.Provider // where spans go. Nil means nowhere.
	NamedTenants   int             // that the metrics name; the others are one
}

// node is all of a running broker.
type node struct {
	cfg      nodeConfig
	log      *slog.Logger
	clients  []net.Listener // nil once the edge has them
	admins   net.Listener   // nil once the admin API has it
	info     admin.Info     // where the node is reached
	engine   *broker.Engine
	registry *tenants.Registry
	book     *quota.Book
	hub      *channels.Hub
	talks    *sessions.Hub
	edge     *frontends.Edge
	meters   *tenants.Meters
	ledger   *tenants.Ledger
	sources  []meter.Source // what the metrics are made of
	meetings *rooms.Hub

	advertised bool // admin.Advertise was called, at least
	stages     stages
	failed     chan error // the first part that ended by itself
}

// openNode starts a node. When it returns nil the node serves; the caller ends it with close.
func openNode(ctx context.Context, cfg nodeConfig, log *slog.Logger) (_ *node, err error) {
	n := &node{cfg: cfg, log: log, failed: make(chan error, 1), meters: &tenants.Meters{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if cfg.LogLevel == nil {
		cfg.LogLevel = loglevel.New(slog.LevelInfo)
		n.cfg.LogLevel = cfg.LogLevel
	}
	// Ports first: a mistake in them should not wait for the store to be recovered.
	if err := n.bind(ctx); err != nil {
		return nil, err
	}
	n.stages.start(func(ctx context.Context) error { return cfg.LogLevel.Run(ctx, log) }, n.ended)
	n.stages.start(func(ctx context.Context) error { return followSecrets(ctx, cfg.Secrets, log) }, n.ended)
	if n.engine, err = broker.Open(ctx, cfg.Broker, log); err != nil {
		return nil, err
	}
	committer := acks.NewCommitter(n.engine.Sync)
	n.stages.start(committer.Run, n.ended)
	if n.registry, err = tenants.Open(ctx, n.engine, cfg.Tenants, log); err != nil {
		return nil, err
	}
	n.stages.start(n.registry.Run, n.ended)
	n.book = quota.NewBook(n.registry, n.engine, log)
	n.stages.start(n.book.Run, n.ended)
	guard, err := quota.NewGuard(n.book, n.engine, log)
	if err != nil {
		return nil, err
	}
	n.stages.start(guard.Run, n.ended)
	if n.ledger, err = tenants.OpenLedger(ctx, n.engine, n.engine.Node(), n.meters, log); err != nil {
		return nil, err
	}
	n.stages.start(n.ledger.Run, n.ended) // below all that count
	n.hub = channels.NewHub(channels.Config{Frame: ws.AppendText, Quota: n.book, Meters: n.meters, Policies: n.registry.Policies, Tenants: n.registry.List}, n.engine, committer, log)
	n.registry.Changes(func(t tenants.Tenant) { n.hub.SetPolicies(t.ID, t.Policies) })
	n.stages.start(n.hub.Run, n.ended)
	cfg.Sessions.Meters, cfg.Sessions.Tracer = n.meters, trace.New(cfg.Traces, "sessions")
	limits := func(a broker.AccountID) *quota.Tenant { return n.book.Tenant(n.registry.Of(a)) }
	cfg.Sessions.Quota, cfg.Rooms.Quota = limits, limits
	if n.talks, err = sessions.NewHub(cfg.Sessions, n.engine, committer, log); err != nil {
		return nil, err
	}
	n.stages.start(n.talks.Run, n.ended)
	n.sources = append(n.sources, n.engine, committer, n.hub, n.talks)
	if n.meetings, err = rooms.NewHub(cfg.Rooms, n.engine, log); err != nil {
		return nil, err
	}
	n.stages.start(n.meetings.Run, n.ended)
	n.sources = append(n.sources, n.meetings)
	return n, n.openEdges(ctx)
}

// bind takes the ports for clients and admins.
func (n *node) bind(ctx context.Context) (err error) {
	for _, addr := range n.cfg.Listen {
		l, err := listen(ctx, addr, "--listen")
		if err != nil {
			return err
		}
		n.clients = append(n.clients, l)
	}
	for _, addr := range n.cfg.ListenToo {
		l, err := listen(ctx, addr, "--listen")
		if err != nil {
			n.log.Warn("not listening where an example points", "address", addr, "error", err)
			continue
		}
		n.clients = append(n.clients, l)
	}
	n.admins, err = listen(ctx, n.cfg.AdminListen, "--admin-listen")
	return err
}

// openEdges starts what answers to the outside, and says so in the data directory.
func (n *node) openEdges(ctx context.Context) error {
	dir := n.cfg.Broker.DataDir
	if err := admin.Withdraw(dir); err != nil { // what a node that was killed has left
		return err
	}
	key, err := admin.EnsureKey(dir)
	if err != nil {
		return err
	}
	n.info = admin.Info{Version: currentVersion(), Admin: "http://" + n.admins.Addr().String(), NATS: n.engine.ServicesURL()}
	for _, l := range n.clients {
		n.info.Listen = append(n.info.Listen, l.Addr().String())
	}
	journal, err := n.engine.Journal(ctx, "audit", n.cfg.AuditRetention)
	if err != nil {
		return err
	}
	keys, err := adminkey.Open(ctx, n.engine, n.log)
	if err != nil {
		return err
	}
	about := admin.Config{Key: key, Keys: keys, LogLevel: n.cfg.LogLevel, Node: n.engine.NodeName(), Journal: journal, Info: func() admin.Info { return n.info }, Ready: n.engine.Ready, Spool: dir}
	n.cfg.Edge.Meters, n.cfg.Edge.Quota, n.cfg.Edge.Traces = n.meters, n.book, n.cfg.Traces
	n.edge = frontends.New(n.cfg.Edge, n.registry, n.hub, n.talks, n.meetings, n.log)
	n.sources = append(n.sources, n.edge, n.book)
	if about, err = n.observed(about); err != nil {
		return err
	}
	api, err := admin.New(about, n.registry, n.engine, n.hub, n.talks, n.meetings, n.log)
	if err != nil {
		return err
	}
	edge, admins, clients := n.edge, n.admins, n.clients
	n.admins, n.clients = nil, nil // the stages close them from now on
	n.stages.start(func(ctx context.Context) error { return edge.Serve(ctx, clients...) }, n.ended)
	n.stages.start(func(ctx context.Context) error { return api.Serve(ctx, admins) }, n.ended)
	n.advertised = true
	return admin.Advertise(dir, reachable(n.info.Admin))
}

// reachable is a URL with the wildcard address of a listener, which is nobody's, replaced by this machine's.
func reachable(url string) string {
	for _, wildcard := range []string{"//[::]:", "//0.0.0.0:"} {
		url = strings.Replace(url, wildcard, "//127.0.0.1:", 1)
	}
	return url
}

// listen binds an address; flag is what the operator can change it with.
func listen(ctx context.Context, addr, flag string) (net.Listener, error) {
	// Both servers find out by themselves who is gone, for which the kernel would want four system calls a connection.
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fault.Wrap(fault.Unavailable, err, "The address %s is in use by another process.", addr).
			WithFix("Choose another with %s; port 0 picks a free one.", flag)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "Listening on %q failed: %s.", addr, strings.TrimPrefix(err.Error(), "listen tcp: ")).
			WithFix("Give host:port or :port with %s.", flag)
	}
	return l, nil
}

// ended notes that a part has ended although nobody stopped it.
func (n *node) ended(err error) {
	select {
	case n.failed <- fmt.Errorf("a part of the broker has ended: %w", err):
	default: // the first is the cause of the others
	}
}

// run waits until ctx ends, or until the node can't go on.
func (n *node) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.failed:
		return err
	case err := <-n.engine.Failed():
		return fault.Wrap(fault.Unavailable, err, "The store has failed; the broker stops.").
			WithFix("What was acknowledged is on disk. See to the disk, then start the broker again.")
	}
}

// close ends the node from the top down: clients first, the store last.
func (n *node) close() error {
	var err error
	if n.advertised {
		err = admin.Withdraw(n.cfg.Broker.DataDir)
	}
	err = errors.Join(err, n.stages.stop())
	for _, l := range append(n.clients, n.admins) {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	if n.engine != nil {
		err = errors.Join(err, n.engine.Close())
	}
	return err
}
