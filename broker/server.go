package broker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"

	"parley/internal/fault"
)

const (
	// maxPayload bounds what a service may publish: more than a message of 64 KiB with the broker's stamps, and than the
	// longest answer of a session.
	maxPayload = 512 << 10
	// maxPending bounds what the server holds for a NATS client that reads too slowly.
	maxPending = 32 << 20
	// unlimited is for the server's JetStream quotas. Account limits are reservations against these, and an account
	// that finds too little left silently gets no JetStream at all; the disk is watched by watchStore instead.
	unlimited = 1 << 50
	// tidyEvery is how often the server looks after each stream's files, and syncs them one by one. What it has to sync was
	// synced before, by Sync or syncRegularly, in one call for all streams: with an interval of a second, thousands of
	// streams that nobody uses kept the disk busy, and a start with them took minutes.
	tidyEvery = 2 * time.Minute
	// fetchTimeout bounds the search for an account that no node knows.
	fetchTimeout = 250 * time.Millisecond
)

func (e *Engine) startServer(ctx context.Context) error {
	if !e.Clustered() {
		if err := e.refuseAlone(); err != nil {
			return err
		}
		return e.runServer(ctx, nil)
	}
	if err := e.enterCluster(); err != nil {
		return err
	}
	if err := e.adopt(ctx); err != nil {
		return err
	}
	if err := e.catchUp(ctx); err != nil {
		return err
	}
	return e.runServer(ctx, nil)
}

// runServer starts a server with the engine's options, which change may edit, and waits until it is ready.
func (e *Engine) runServer(ctx context.Context, change func(*server.Options)) error {
	opts, err := e.serverOptions()
	if err != nil {
		return err
	}
	if change != nil {
		change(opts)
	}
	if e.server, err = server.NewServer(opts); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The NATS server can't be set up: %s.", err)
	}
	log := &natsLog{log: e.log, broken: e.fail, refused: e.gate.refused}
	defer log.recover()()
	e.server.SetLoggerV2(log, false, false, false)
	if e.opener == nil {
		e.server.Start()
		return e.awaitReady(ctx)
	}
	e.opener.log = log
	e.opener.startServer(e.server)
	if err := e.awaitReady(ctx); err != nil {
		return err
	}
	e.opener.openFor(ctx, e.cfg.OpenWithin)
	return e.unharmed()
}

// serverOptions builds fresh options at each call, because the server keeps and edits the ones it is given.
func (e *Engine) serverOptions() (_ *server.Options, err error) {
	opts := &server.Options{
		ServerName: e.cfg.ServerName,
		NoSigs:     true,
		DontListen: e.cfg.Listen == ListenOff,
		MaxPayload: maxPayload,
		MaxPending: maxPending,

		TrustedOperators: []*jwt.OperatorClaims{e.id.claims},
		SystemAccount:    e.id.claims.SystemAccount,

		JetStream:          true,
		StoreDir:           e.dir.path, // the server adds "jetstream"
		JetStreamMaxMemory: unlimited,
		JetStreamMaxStore:  unlimited,
		SyncInterval:       tidyEvery,
		SyncAlways:         !groupSync || e.Clustered(),
	}
	if e.Clustered() {
		if err := e.clusterOptions(opts); err != nil {
			return nil, err
		}
	}
	switch {
	case opts.DontListen && e.Clustered():
		// The server connects to the others only once it listens to clients. Nobody is told where that is.
		opts.DontListen, opts.Host, opts.Port = false, "127.0.0.1", server.RANDOM_PORT
	case !opts.DontListen:
		if opts.Host, opts.Port, err = splitAddress("NATS", e.cfg.Listen); err != nil {
			return nil, err
		}
	}
	opts.AccountResolver, err = e.accountResolver()
	return opts, err
}

// accountResolver keeps the account JWTs in the data directory. The two that no tenant owns must be there before the
// first connection, which is the one that could push them. In a cluster it is the cluster that opens accounts, for the streams
// that it has this node look after.
func (e *Engine) accountResolver() (_ server.AccountResolver, err error) {
	resolver, err := e.openTokens()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			resolver.Close()
		}
	}()
	e.opener = newOpener(resolver, e.dir.store(), e.broken)
	for _, a := range []AccountID{systemAccount, brokerAccount} {
		key, token, err := e.id.fixedToken(a)
		if err != nil {
			return nil, err
		}
		if err := resolver.Store(key, token); err != nil {
			return nil, unusable(e.dir.path, err)
		}
		e.opener.own[key] = true
	}
	if e.Clustered() {
		e.opener = nil
		return resolver, nil
	}
	return e.opener, nil
}

// openTokens opens the directory of the account JWTs. The caller closes it.
func (e *Engine) openTokens() (*server.DirAccResolver, error) {
	resolver, err := server.NewDirAccResolver(e.dir.accounts(), 0, time.Minute, server.HardDelete, server.FetchTimeout(fetchTimeout))
	if err != nil {
		return nil, unusable(e.dir.path, err)
	}
	return resolver, nil
}

// awaitReady waits until the server takes connections with its whole store recovered. The server does not stop by
// itself when a part of it could not start; what it logs then arrives in e.failed.
func (e *Engine) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.ReadyWithin)
	defer cancel()
	for !e.server.ReadyForConnections(10 * time.Millisecond) {
		select {
		case err := <-e.failed:
			return e.startFault(err)
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "The NATS server was not ready within %s.", e.cfg.ReadyWithin)
		default:
		}
	}
	if err := e.unharmed(); err != nil {
		return err
	}
	if !e.server.JetStreamEnabled() {
		return damaged(e.dir.store(), "JetStream did not start")
	}
	return nil
}

// unharmed returns nil when nothing has failed so far in a start.
func (e *Engine) unharmed() error {
	select {
	case err := <-e.failed:
		return e.startFault(err)
	default:
		return nil
	}
}

func (e *Engine) startFault(err error) error {
	if strings.Contains(err.Error(), "router port") {
		return fault.Wrap(fault.Unavailable, err, "Listening on the cluster address %s failed: %s.", e.cfg.Cluster.Listen, err).
			WithFix("Choose another with --cluster-listen.")
	}
	if strings.Contains(err.Error(), "address already in use") {
		return fault.Wrap(fault.Unavailable, err, "The NATS address %s is in use by another process.", e.cfg.Listen).
			WithFix("Choose another with --nats-listen, or %q for none.", ListenOff)
	}
	if strings.Contains(err.Error(), "Error listening on port") {
		return fault.Wrap(fault.Unavailable, err, "Listening on the NATS address %s failed: %s.", e.cfg.Listen, err)
	}
	return damaged(e.dir.store(), fmt.Sprint(err))
}
