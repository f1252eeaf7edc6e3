package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"parley/internal/fault"
	"parley/internal/tick"
)

// embedded is the engine's own server. It stores in the data directory, alone or as one node of a cluster.
type embedded struct {
	e     *Engine
	store *os.File // the store's directory, for syncStore
}

var _ servers = (*embedded)(nil)

func (s *embedded) open(ctx context.Context) (_ *nats.Conn, err error) {
	if err := s.e.refuseEmbedded(); err != nil {
		return nil, err
	}
	if err := s.e.startServer(ctx); err != nil {
		return nil, err
	}
	if s.store, err = os.Open(s.e.dir.store()); err != nil {
		return nil, unusable(s.e.dir.path, err)
	}
	return s.e.dial(systemAccount, nats.MaxReconnects(-1))
}

func (s *embedded) dial(opts ...nats.Option) (*nats.Conn, error) {
	// The client's own patience is 2 seconds, which is what a server alone takes to ask the others for an account.
	return nats.Connect("", append(opts, nats.InProcessServer(s.e.server), nats.Timeout(linkWithin))...)
}

func (s *embedded) url() string {
	if s.e.cfg.Listen == ListenOff {
		return ""
	}
	return "nats://" + s.e.server.Addr().String()
}

func (s *embedded) close() error {
	if s.e.opener != nil {
		s.e.opener.stop()
	}
	if s.e.server != nil {
		s.e.server.Shutdown()
		s.e.server.WaitForShutdown()
	}
	if s.store == nil {
		return nil
	}
	return errors.Join(syncStore(s.store.Fd()), s.store.Close())
}

func (s *embedded) watch(ctx context.Context) {
	var beside sync.WaitGroup
	if s.e.Clustered() {
		beside.Go(func() { s.e.watchRoutes(ctx) })
	} else {
		beside.Go(func() { s.e.openRest(ctx) })
		if groupSync {
			beside.Go(func() { s.syncRegularly(ctx) })
		}
	}
	s.e.watchStore(ctx)
	beside.Wait()
}

// syncEvery bounds what a power cut can take from services that publish through JetStream themselves. What the broker
// acknowledges is synced by Sync.
const syncEvery = time.Second

// syncRegularly makes durable what was stored without anybody asking for it, until ctx ends.
func (s *embedded) syncRegularly(ctx context.Context) {
	for range tick.Every(ctx, syncEvery) {
		if err := s.e.Sync(); err != nil {
			return // the engine has failed
		}
	}
}

// sync has nothing to do in a cluster: what a stream confirms there is on the disks of a majority of its nodes.
func (s *embedded) sync() error {
	if s.e.Clustered() {
		return nil
	}
	return syncStore(s.store.Fd())
}

func (s *embedded) size() size {
	n := s.e.nodeCount()
	return size{n, n, n}
}

func (s *embedded) leads() bool { return !s.e.Clustered() || s.e.server.JetStreamIsLeader() }

func (s *embedded) lease() time.Duration { return leaseTime }

// led returns of the streams only those that this node leads, so that they are looked after once and without anybody knowing all.
func (s *embedded) led(_ context.Context, replicas int) (all []streamOf, err error) {
	info, err := s.e.server.Jsz(&server.JSzOptions{Accounts: true, Streams: true, Config: true, Limit: 1 << 30})
	if err != nil {
		return nil, err
	}
	for _, a := range info.AccountDetails {
		for _, d := range a.Streams {
			if d.Config == nil || d.Cluster == nil || d.Cluster.Leader != s.e.cfg.ServerName {
				continue
			}
			if d.Config.Replicas < replicas || lacksCopies(d.Name, d.Config.RePublish != nil) {
				all = append(all, streamOf{a.Id, d.Name})
			}
		}
	}
	return all, nil
}

func (s *embedded) accounts(context.Context) (map[string]bool, error) {
	entries, err := os.ReadDir(s.e.dir.accounts())
	if err != nil {
		return nil, unusable(s.e.dir.path, err)
	}
	all := map[string]bool{}
	for _, entry := range entries {
		if key, ok := strings.CutSuffix(entry.Name(), ".jwt"); ok {
			all[key] = s.check(key) == nil
		}
	}
	return all, nil
}

// check returns nil if the account's token is this broker's own.
func (s *embedded) check(key string) error {
	token, err := os.ReadFile(s.e.tokenFile(key))
	if err != nil {
		return unusable(s.e.dir.path, err)
	}
	claims, err := jwt.DecodeAccountClaims(strings.TrimSpace(string(token)))
	if err != nil {
		return err
	}
	if claims.Subject != key || claims.Issuer != s.e.id.claims.Subject {
		return fmt.Errorf("account %s was signed for or by somebody else", key)
	}
	if _, ok := idOf(claims); !ok {
		return fmt.Errorf("account %s was written by an earlier version", key)
	}
	return nil
}

func (s *embedded) token(_ context.Context, key string) (string, error) {
	token, err := os.ReadFile(s.e.tokenFile(key))
	if err != nil {
		return "", unusable(s.e.dir.path, err)
	}
	return strings.TrimSpace(string(token)), nil
}

// disown refuses an account that nobody knows: whoever keeps the list has lost a part of it. Unless the list is whole:
// then it was deleted while this node was down, and is removed here, too.
func (s *embedded) disown(ctx context.Context, key string, whole bool) error {
	if !whole {
		return fault.New(fault.Unavailable, "The data directory is damaged: %s belongs to a tenant that the registry has lost.", s.e.tokenFile(key)).
			WithFix("Restore the directory from a backup. To do without the data of that tenant, remove the file.")
	}
	s.e.log.Info("an account was deleted while this node was down and is removed here, too", "account_key", key)
	if err := s.e.deleteAccount(ctx, key); err != nil {
		if _, still := os.Stat(s.e.tokenFile(key)); !errors.Is(still, fs.ErrNotExist) {
			return err // the other nodes may say that they have no such account
		}
	}
	ctx, cancel := context.WithTimeout(ctx, peersWithin)
	defer cancel()
	if err := s.sweep(ctx, key); err != nil {
		s.e.log.Warn("what a deleted account has stored is not gone yet", "account_key", key, "err", err)
	}
	return nil
}

// sweep waits for this node's own copies and removes the directories that the server has emptied. Alone, the server has
// answered when they are gone.
func (s *embedded) sweep(ctx context.Context, key string) error {
	for s.e.Clustered() && !s.emptied(key) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the streams of account %s are not gone yet", key)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return s.removeLeftovers(key)
}

// emptied reports whether no stream of the account is left in the store.
func (s *embedded) emptied(key string) bool {
	left, err := os.ReadDir(filepath.Join(s.e.dir.store(), key, "streams"))
	return err != nil || len(left) == 0
}

func (s *embedded) removeLeftovers(key string) error {
	dir := filepath.Join(s.e.dir.store(), key)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is still there", dir)
	}
	return nil
}
