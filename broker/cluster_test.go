package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"parley/internal/clustertest"
	"parley/internal/fault"
)

// testCluster is the nodes of a cluster in one process. A node that is nil is down.
type testCluster struct {
	t     *testing.T
	cfgs  []Config
	nodes []*Engine
}

// newCluster prepares n nodes with one operator's seed.
func newCluster(t *testing.T, n int) *testCluster {
	t.Helper()
	kp := clustertest.OperatorSeed(t)
	c := &testCluster{t: t, nodes: make([]*Engine, n)}
	routes := clustertest.FreeAddrs(t, n)
	for i := range n {
		c.cfgs = append(c.cfgs, Config{
			DataDir: t.TempDir(), ServerName: fmt.Sprint("n", i+1), Listen: "127.0.0.1:0", SeedFile: kp,
			Cluster: Cluster{Name: "test", Listen: routes[i], Routes: routes, Found: i == 0},
		})
	}
	t.Cleanup(c.close)
	return c
}

// startCluster runs n nodes, or one that knows nothing of clusters.
func startCluster(t *testing.T, n int) *testCluster {
	t.Helper()
	c := newCluster(t, n)
	if n == 1 {
		c.cfgs[0].Cluster = Cluster{}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	c.start(all...)
	return c
}

// start starts nodes at the same time.
func (c *testCluster) start(which ...int) {
	c.t.Helper()
	errs := make([]error, len(which))
	var starting sync.WaitGroup
	for j, i := range which {
		starting.Go(func() {
			c.nodes[i], errs[j] = Open(context.Background(), c.cfgs[i], testLog(c.cfgs[i].ServerName))
		})
	}
	starting.Wait()
	for j, err := range errs {
		if err != nil {
			c.t.Fatalf("start %s: %v (fix: %s)", c.cfgs[which[j]].ServerName, err, fault.Fix(err))
		}
	}
}

func (c *testCluster) stop(i int) {
	c.t.Helper()
	e := c.nodes[i]
	c.nodes[i] = nil
	if err := e.Close(); err != nil {
		c.t.Errorf("close %s: %v", c.cfgs[i].ServerName, err)
	}
}

// awaitNodes waits until a node counts n nodes. One that connects to a node which refuses it counts that one for a moment.
func (c *testCluster) awaitNodes(i, n int) {
	c.t.Helper()
	eventually(c.t, func(context.Context) error {
		if got := c.nodes[i].nodeCount(); got != n {
			return fmt.Errorf("%s counts %d nodes, want %d", c.cfgs[i].ServerName, got, n)
		}
		return nil
	})
}

func (c *testCluster) close() {
	var closing sync.WaitGroup
	for i, e := range c.nodes {
		if e != nil {
			closing.Go(func() { c.stop(i) })
		}
	}
	closing.Wait()
}

// testLog shows what the nodes have logged when a test is run with PARLEY_TEST_LOG.
func testLog(node string) *slog.Logger {
	if os.Getenv("PARLEY_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", node)
}

// patience bounds the wait for what must happen some time.
const patience = 60 * time.Second

// eventually repeats f until it succeeds. Each time it has no longer than a request may take: one to a leader is lost when
// there is none, and then there is nothing to wait for.
func eventually(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for before := error(nil); ; {
		attempt, end := context.WithTimeout(ctx, requestTimeout)
		err := f(attempt)
		end()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%v; before that: %v", err, before)
		case <-time.After(20 * time.Millisecond):
		}
		before = err
	}
}

// forNodes runs a test alone and in a cluster of three.
func forNodes(t *testing.T, f func(*testing.T, *testCluster)) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { f(t, startCluster(t, n)) })
	}
}

func TestNodesShareAccountsAndStreams(t *testing.T) {
	t.Parallel()
	forNodes(t, func(t *testing.T, c *testCluster) {
		id := mustAccount(t, c.nodes[0])
		for i, e := range c.nodes {
			conn := mustAcquire(t, e, id)
			if err := conn.Ensure(t.Context(), Channels); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.JetStream().Publish(t.Context(), "channel.x", fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
			last, err := conn.Last(t.Context(), Channels, "channel.x")
			if err != nil || last != uint64(i+1) {
				t.Errorf("node %d: last %d, %v", i, last, err)
			}
			msgs, more, err := conn.Read(t.Context(), ReadRequest{Stream: Channels, Subject: "channel.x", Limit: 10})
			if err != nil || len(msgs) != i+1 || more {
				t.Errorf("node %d: read %d messages, more %v, %v", i, len(msgs), more, err)
			}
			info, err := conn.JetStream().Stream(t.Context(), string(Channels))
			if err != nil || info.CachedInfo().Config.Replicas != len(c.nodes) {
				t.Errorf("node %d: %+v, %v", i, info.CachedInfo().Config, err)
			}
		}
		nodesHearEachOther(t, c)
	})
}

func TestNodesSuspendAndEraseEverywhere(t *testing.T) {
	t.Parallel()
	forNodes(t, func(t *testing.T, c *testCluster) {
		id := mustAccount(t, c.nodes[0])
		for i, e := range c.nodes {
			conn, err := e.Acquire(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.Ensure(t.Context(), Channels); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.JetStream().Publish(t.Context(), "channel.x", []byte("canary-4711")); err != nil {
				t.Fatal(i, err)
			}
			conn.Release()
		}
		last := c.nodes[len(c.nodes)-1]
		if err := last.PutAccount(t.Context(), Account{ID: id, Suspended: true}); err != nil {
			t.Fatal(err)
		}
		for _, e := range c.nodes {
			if _, err := e.Acquire(t.Context(), id); fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("%s: Acquire of a suspended account: %v", e.cfg.ServerName, err)
			}
		}
		if err := last.PutAccount(t.Context(), Account{ID: id}); err != nil {
			t.Fatal(err)
		}
		for _, e := range c.nodes {
			conn, err := e.Acquire(t.Context(), id)
			if err != nil {
				t.Fatalf("%s: Acquire after resume: %v", e.cfg.ServerName, err)
			}
			conn.Release()
		}
		for range 2 {
			if err := last.EraseAccount(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		for i, e := range c.nodes {
			if name := findBytes(t, c.cfgs[i].DataDir, "canary-4711"); name != "" {
				t.Errorf("%s still holds the tenant's data", name)
			}
			if _, err := e.Acquire(t.Context(), id); err == nil {
				t.Errorf("%s: Acquire of an erased account succeeded", e.cfg.ServerName)
			}
		}
	})
}

// TestANodeLearnsWhatItMissed has accounts changed and deleted while a node is down, and another one while a node that
// runs is not told.
func TestANodeLearnsWhatItMissed(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	kept, gone := mustAccount(t, c.nodes[0]), mustAccount(t, c.nodes[0])
	leaked, leakedKey := mustCreds(t, c.nodes[2], kept)
	good, goodKey := mustCreds(t, c.nodes[2], kept)
	conn, err := c.nodes[0].Acquire(t.Context(), gone)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Ensure(t.Context(), Channels); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.js.Publish(t.Context(), "channel.x", []byte("canary-4711")); err != nil {
		t.Fatal(err)
	}
	conn.Release()
	c.stop(2)
	if err := c.nodes[0].EraseAccount(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	all := []Account{{ID: kept, Name: "acme", RevokedUsers: []string{leakedKey}}}
	if err := c.nodes[0].PutAccount(t.Context(), all[0]); err != nil {
		t.Fatal(err)
	}
	c.start(2)
	wantAuth(t, c.nodes[2], leaked, "revoked while the node was down", false)
	wantAuth(t, c.nodes[2], good, "good all the time", true)
	if err := c.nodes[2].Restore(t.Context(), all, false); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("an account that nobody knows: %v", err)
	}
	if err := c.nodes[2].Restore(t.Context(), all, true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(jwtFile(t, c.nodes[2], gone)); err == nil {
		t.Error("the account is still there")
	}
	mustAcquire(t, c.nodes[2], kept)
	nodeConforms(t, c.nodes[2], all[0], good, goodKey)
	eventually(t, func(context.Context) error {
		if name := findBytes(t, c.cfgs[2].DataDir, "canary-4711"); name != "" {
			return fmt.Errorf("%s still holds the tenant's data", name)
		}
		return nil
	})
}

func TestRoutesNeedTheOperatorsSeed(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	stranger := newCluster(t, 1).cfgs[0]
	stranger.Cluster = Cluster{Name: "test", Listen: clustertest.FreeAddrs(t, 1)[0], Routes: c.cfgs[0].Cluster.Routes, Found: true}
	stranger.ReadyWithin = 2 * time.Second
	if e, err := Open(t.Context(), stranger, slog.New(slog.DiscardHandler)); err == nil {
		e.Close()
		t.Fatal("a node with another operator got into the cluster")
	}
	for i := range c.nodes {
		c.awaitNodes(i, 3)
	}
}

// nodeConforms checks that a node follows what it hears of an account from nobody but the registry.
func nodeConforms(t *testing.T, e *Engine, a Account, creds []byte, userKey string) {
	t.Helper()
	conform := func(a Account) {
		t.Helper()
		if err := e.ConformAccount(a); err != nil {
			t.Fatal(err)
		}
	}
	conform(a)
	nc := wantAuth(t, e, creds, "not revoked", true)
	cut := nc.StatusChanged(nats.CLOSED)
	suspended := a
	suspended.Suspended = true
	conform(suspended)
	<-cut
	wantAuth(t, e, creds, "of a suspended account", false)
	if _, err := e.Acquire(t.Context(), a.ID); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Acquire of an account that is suspended elsewhere: %v", err)
	}
	conform(a)
	wantAuth(t, e, creds, "of an account that was resumed elsewhere", true)
	mustAcquire(t, e, a.ID)
	a.RevokedUsers = append(a.RevokedUsers, userKey)
	conform(a)
	wantAuth(t, e, creds, "revoked elsewhere", false)
}

// mustCreds makes credentials that may listen to channels.
func mustCreds(t *testing.T, e *Engine, a AccountID) (creds []byte, userKey string) {
	t.Helper()
	creds, userKey, err := e.Creds(t.Context(), a, CredsRequest{Name: "svc", Subscribe: []string{"channel.>"}})
	if err != nil {
		t.Fatal(err)
	}
	return creds, userKey
}

// wantAuth connects a service to this node and checks whether it is let in.
func wantAuth(t *testing.T, e *Engine, creds []byte, what string, want bool) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(e.ServicesURL(), nats.UserCredentialBytes(creds), nats.NoReconnect(), nats.IgnoreDiscoveredServers())
	if (err == nil) != want || err != nil && !errors.Is(err, nats.ErrAuthRevoked) && !errors.Is(err, nats.ErrAuthorization) {
		t.Fatalf("credentials %s: %v", what, err)
	}
	if nc != nil {
		t.Cleanup(nc.Close)
	}
	return nc
}
