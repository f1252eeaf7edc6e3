// Package brokertest runs engines in the process of a test: one, or a cluster of them, with what a package has to run on
// them. What it starts ends with the test, in the right order.
package brokertest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

// patience bounds the wait for what must happen some time.
const patience = 60 * time.Second

// Node is an engine with what runs on it. Its methods are for one goroutine at a time, but those of the engine.
type Node struct {
	*broker.Engine
	Log *slog.Logger // to the test's output, or to nowhere in a benchmark

	t       testing.TB
	running []func() // how to end what runs, newest last
	stop    func()
}

// Start opens an engine and fails the test when it does not open. The node is stopped with the test. The data directory
// defaults to one that is removed then, and the services' listener to a port that the system chooses.
func Start(t testing.TB, cfg broker.Config) *Node {
	t.Helper()
	n, err := open(t, cfg)
	if err != nil {
		t.Fatalf("open: %v (fix: %s)", err, fault.Fix(err))
	}
	return n
}

// open may be called by any goroutine of the test.
func open(t testing.TB, cfg broker.Config) (*Node, error) {
	cfg.Listen = cmp.Or(cfg.Listen, "127.0.0.1:0")
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	out := t.Output()
	if _, ok := t.(*testing.B); ok {
		out = io.Discard // it would be shown although nothing is wrong
	}
	log := slog.New(slog.NewTextHandler(out, nil))
	if cfg.ServerName != "" {
		log = log.With("node", cfg.ServerName)
	}
	engine, err := broker.Open(t.Context(), cfg, log)
	if err != nil {
		return nil, err
	}
	n := &Node{Engine: engine, Log: log, t: t}
	n.stop = sync.OnceFunc(n.end)
	t.Cleanup(n.stop)
	return n, nil
}

// Run has f run beside the test until the node stops, or the test calls end, which waits for it; its context ends then.
// What was run last ends first.
func (n *Node) Run(f func(context.Context) error) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := f(ctx); err != nil && !errors.Is(err, context.Canceled) {
			n.t.Error(err)
		}
	})
	end = func() {
		cancel()
		running.Wait()
	}
	n.running = append(n.running, end)
	return end
}

// Stop ends what runs on the node, and then the engine, which a test does to have the node die or to start it again. It
// fails the test when the engine does not end well. A second call does nothing.
func (n *Node) Stop() { n.stop() }

func (n *Node) end() {
	for _, end := range slices.Backward(n.running) {
		end()
	}
	if err := n.Close(); err != nil {
		n.t.Error(err)
	}
}

// NewAccount makes an account that the given nodes, all of a cluster, can use when it returns.
func NewAccount(t testing.TB, name string, nodes ...*Node) broker.AccountID {
	t.Helper()
	id := broker.NewAccountID()
	if err := nodes[0].PutAccount(t.Context(), broker.Account{ID: id, Name: name}); err != nil {
		t.Fatal(err)
	}
	if len(nodes) == 1 {
		return id
	}
	for _, n := range nodes {
		n.awaitStore(id)
	}
	return id
}

// awaitStore waits until the node can make streams in an account. For some seconds after a start the leader of a cluster
// takes a node for offline that it has not heard of yet, and puts no stream on it; clients are told UNAVAILABLE meanwhile
// and come again.
func (n *Node) awaitStore(id broker.AccountID) {
	n.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		err := n.ensure(id)
		if err == nil {
			return
		}
		if fault.CodeOf(err) != fault.Unavailable || time.Now().After(deadline) {
			n.t.Fatal(err)
		}
	}
}

func (n *Node) ensure(id broker.AccountID) error {
	conn, err := n.Acquire(n.t.Context(), id)
	if err != nil {
		return err
	}
	defer conn.Release()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	return conn.Ensure(ctx, broker.Channels)
}
