package broker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

const (
	nodesBucket = "nodes"
	// leaseTime is how long a node is believed to live after its last sign of life.
	leaseTime  = 12 * time.Second
	renewEvery = 4 * time.Second
	// retryLease is how often a node tries again that could not renew its lease, and how long one attempt may take.
	retryLease = time.Second
	// leaveWithin bounds the wait of a node that leaves: the last ones of a cluster find nobody to take their leave of.
	leaveWithin = time.Second
)

// nodes knows which nodes live, this one included. A node is named for one run: after a restart it is another, so that
// what the run before has left behind is known to be dead.
type nodes struct {
	self  Token
	kv    jetstream.KeyValue
	watch jetstream.KeyWatcher

	renewed atomic.Pointer[time.Time] // when the lease was renewed last

	mu     sync.Mutex
	alive  map[Token]bool // guarded by mu
	onLoss []func(Token)  // guarded by mu

	onReturn []func() // guarded by mu
}

// nodeName is the server's name, a dash and the start of the run in base 36 milliseconds.
func nodeName(server string, start time.Time) (Token, error) {
	return ParseToken(server + "-" + strconv.FormatInt(start.UnixMilli(), 36))
}

// newer reports whether a is a later run of the same server as b.
func newer(a, b Token) bool {
	i, j := strings.LastIndexByte(string(a), '-'), strings.LastIndexByte(string(b), '-')
	return i > 0 && j > 0 && a[:i] == b[:j] && (len(a) > len(b) || len(a) == len(b) && a > b)
}

func (e *Engine) joinNodes(ctx context.Context) error {
	self, err := nodeName(e.cfg.ServerName, time.Now())
	if err != nil {
		return fmt.Errorf("the server name %q is no id: %w", e.cfg.ServerName, err)
	}
	kv, err := e.Bucket(ctx, jetstream.KeyValueConfig{Bucket: nodesBucket, Storage: jetstream.FileStorage, LimitMarkerTTL: markerTTL})
	if err != nil {
		return err
	}
	e.nodes = &nodes{self: self, kv: kv, alive: map[Token]bool{self: true}}
	if err := e.persist(ctx, e.renewLease); err != nil {
		return fmt.Errorf("take a lease: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.ReadyWithin)
	defer cancel()
	if err := e.persist(ctx, e.nodes.follow); err != nil {
		return fmt.Errorf("watch the nodes: %w", err)
	}
	return nil
}

// follow begins to watch the other nodes, and returns when it knows all that live. The watch ends with leaveNodes.
func (n *nodes) follow(ctx context.Context) error {
	watch, err := watch(ctx, n.kv, ">")
	if err != nil {
		return err
	}
	for {
		select {
		case entry, ok := <-watch.Updates():
			switch {
			case !ok:
				return nats.ErrConnectionClosed
			case entry == nil: // the state at the start is complete
				n.watch = watch
				return nil
			}
			n.see(entry)
		case <-ctx.Done():
			EndWatch(watch)
			return ctx.Err()
		}
	}
}

// keepNodes renews this node's lease and follows the others until ctx ends.
func (e *Engine) keepNodes(ctx context.Context) {
	next := time.NewTimer(renewEvery)
	defer next.Stop()
	losses, stop := e.home.Losses()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			e.leaveNodes()
			return
		case <-next.C:
			wait := renewEvery
			if err := e.renewLease(ctx); err != nil && ctx.Err() == nil {
				e.log.Warn("the node's lease could not be renewed", "err", err)
				wait = retryLease
			}
			next.Reset(wait)
		case <-losses:
			if e.Clustered() {
				e.nodes.watch = Rewatch(ctx, e.nodes.kv, ">", e.nodes.watch, e.done.Go)
			}
		case entry, ok := <-e.nodes.watch.Updates():
			if ok && entry != nil {
				e.nodes.see(entry)
			}
		}
	}
}

func (e *Engine) leaveNodes() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	e.done.Go(func() { EndWatch(e.nodes.watch) })
	if err := e.nodes.kv.Delete(ctx, string(e.nodes.self)); err != nil {
		e.log.Warn("the node's lease could not be given up; it runs out by itself", "err", err)
	}
}

// renewLease writes the lease with its time to live, which the bucket's own Put can't give.
func (e *Engine) renewLease(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, retryLease)
	defer cancel()
	_, err := e.home.js.Publish(ctx, "$KV."+nodesBucket+"."+string(e.nodes.self), nil, jetstream.WithMsgTTL(e.servers.lease()))
	if err != nil {
		return err
	}
	now := time.Now()
	if before := e.nodes.renewed.Swap(&now); before != nil && now.Sub(*before) > e.readyFor() {
		e.nodes.returned()
	}
	return nil
}

// returned tells that the others may have believed this node dead.
func (n *nodes) returned() {
	n.mu.Lock()
	tell := append([]func(){}, n.onReturn...)
	n.mu.Unlock()
	for _, f := range tell {
		f()
	}
}

// readyFor is how long this node counts as able to store after it has renewed its lease: an election fits in.
func (e *Engine) readyFor() time.Duration { return e.servers.lease() * 2 / 3 }

// Ready returns nil while this node can store, else why not. It is Check, and whether the node was able to write its own
// lease of late: in a cluster that takes more than half of the nodes. It notices their loss within 8 seconds and their
// return within about one. Of external servers, Check itself notices more, and sooner.
func (e *Engine) Ready() error {
	if err := e.Check(); err != nil {
		return err
	}
	silent := time.Since(*e.nodes.renewed.Load()).Round(time.Second) // Open has set it
	switch {
	case silent < e.readyFor():
		return nil
	case e.Clustered():
		return fault.New(fault.Unavailable, "Nothing could be stored for %s: more than half of the cluster's nodes must be reached.", silent)
	}
	return fault.New(fault.Unavailable, "Nothing could be stored for %s.", silent)
}

func (n *nodes) see(entry jetstream.KeyValueEntry) {
	node := Token(entry.Key())
	n.mu.Lock()
	var lost []Token
	if entry.Operation() == jetstream.KeyValuePut {
		if !n.alive[node] && !n.superseded(node) {
			n.alive[node] = true
			lost = n.supersede(node)
		}
	} else if n.alive[node] && node != n.self {
		delete(n.alive, node)
		lost = []Token{node}
	}
	tell := append([]func(Token){}, n.onLoss...)
	n.mu.Unlock()
	for _, gone := range lost {
		for _, f := range tell {
			f(gone)
		}
	}
}

// superseded reports whether a later run of the node is known.
func (n *nodes) superseded(node Token) bool {
	for other := range n.alive {
		if newer(other, node) {
			return true
		}
	}
	return false
}

// supersede forgets earlier runs of the node, whose leases need not run out first.
func (n *nodes) supersede(node Token) (lost []Token) {
	for other := range n.alive {
		if newer(node, other) {
			delete(n.alive, other)
			lost = append(lost, other)
		}
	}
	return lost
}

// engineCount is how many nodes are believed to live, this one included.
func (e *Engine) engineCount() int {
	if e.nodes == nil {
		return 1 // it has not joined them yet
	}
	e.nodes.mu.Lock()
	defer e.nodes.mu.Unlock()
	return len(e.nodes.alive)
}

// Node names this run of this node.
func (e *Engine) Node() Token { return e.nodes.self }

// Alive reports whether a run of a node is believed to live. It errs for at most 12 seconds after a node has died, with
// external servers for 30.
func (e *Engine) Alive(node Token) bool {
	e.nodes.mu.Lock()
	defer e.nodes.mu.Unlock()
	return e.nodes.alive[node]
}

// Warden returns the living node that tidies up after the others, the same on all nodes once they agree on who lives.
func (e *Engine) Warden() Token {
	e.nodes.mu.Lock()
	defer e.nodes.mu.Unlock()
	first := e.nodes.self
	for node := range e.nodes.alive {
		first = min(first, node)
	}
	return first
}

// OnNodeLost registers f to be called when a node has died or left. f must not block. There is no way to take it back:
// it is meant for those who live as long as the engine.
func (e *Engine) OnNodeLost(f func(node Token)) {
	e.nodes.mu.Lock()
	defer e.nodes.mu.Unlock()
	e.nodes.onLoss = append(e.nodes.onLoss, f)
}

// OnReturn registers f to be called when this node was out of touch for so long that the others may have believed it dead,
// and is back: what it had written may be gone. The rest is as with OnNodeLost.
func (e *Engine) OnReturn(f func()) {
	e.nodes.mu.Lock()
	defer e.nodes.mu.Unlock()
	e.nodes.onReturn = append(e.nodes.onReturn, f)
}
