package channels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
)

// The keys of the tenant's state: agent.<agent>.<node> for presence, inbox.<agent> for positions.
const (
	agentKeys = "agent."
	inboxKeys = "inbox."
)

// roster follows the presence of a tenant's agents on all nodes and publishes that of this one. A node writes only its
// own records, and what a dead one has left does not count.
type roster struct {
	space *Space
	kv    jetstream.KeyValue
	watch jetstream.KeyWatcher
	wake  chan struct{}

	mu        sync.Mutex
	agents    map[broker.Token]sightings // guarded by mu
	unsaved   map[broker.Token]struct{}  // agents whose record run has to write; guarded by mu
	positions map[broker.Token]uint64    // inboxes whose position run has to write; guarded by mu
	buried    []string                   // keys that run has to purge; guarded by mu
	news      []AgentState               // what run has to announce, without channels; guarded by mu
}

// newRoster opens the tenant's state and reads all of it.
func newRoster(ctx context.Context, s *Space) (*roster, error) {
	kv, err := s.conn.Bucket(ctx, broker.StateBucket)
	if err != nil {
		return nil, err
	}
	r := &roster{
		space: s, kv: kv, wake: make(chan struct{}, 1),
		agents: map[broker.Token]sightings{}, unsaved: map[broker.Token]struct{}{}, positions: map[broker.Token]uint64{},
	}
	if r.watch, err = kv.Watch(s.life, agentKeys+">"); err != nil {
		return nil, unreachable(fmt.Errorf("watch the agents: %w", err))
	}
	for {
		select {
		case entry := <-r.watch.Updates():
			if entry == nil {
				r.buryDead()
				if !s.hub.engine.Clustered() {
					broker.EndWatch(r.watch) // nobody else writes; the echo of each write would cost more than the write
				}
				return r, nil
			}
			r.see(entry)
		case <-ctx.Done():
			return nil, unreachable(errors.Join(ctx.Err(), r.watch.Stop()))
		}
	}
}

// run writes what has changed here and takes in what has changed elsewhere, until ctx ends.
func (r *roster) run(ctx context.Context) {
	updates := r.watch.Updates()
	losses, stop := r.space.conn.Losses()
	defer stop()
	for {
		select {
		case <-losses:
			if r.space.hub.engine.Clustered() {
				r.watch = broker.Rewatch(ctx, r.kv, agentKeys+">", r.watch, r.space.hub.task)
				updates = r.watch.Updates()
			}
		case entry, ok := <-updates:
			if !ok {
				updates = nil // the watch has ended, or the connection, and ctx does soon
			} else if entry != nil {
				r.see(entry)
			}
		case <-r.wake:
			r.flush(ctx)
		case <-ctx.Done():
			r.space.hub.task(func() { broker.EndWatch(r.watch) })
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), openWithin)
			r.flush(last)
			_ = r.space.conn.NATS().FlushWithContext(last) // a connection that is gone has lost it anyway
			cancel()
			return
		}
	}
}

// see takes in another node's record. This node's own are newer in memory: one that another node has taken away, because
// it believed this one dead, is written again.
func (r *roster) see(entry jetstream.KeyValueEntry) {
	agent, node, ok := strings.Cut(strings.TrimPrefix(entry.Key(), agentKeys), ".")
	if !ok {
		return
	}
	put := entry.Operation() == jetstream.KeyValuePut
	if broker.Token(node) == r.space.hub.engine.Node() {
		if !put {
			r.saveLost(broker.Token(agent))
		}
		return
	}
	var rec record
	if put && json.Unmarshal(entry.Value(), &rec) != nil {
		r.space.hub.log.Warn("unreadable presence", "key", entry.Key())
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	nodes := r.agents[broker.Token(agent)]
	if put {
		nodes = nodes.set(broker.Token(node), rec)
	} else {
		nodes = nodes.drop(broker.Token(node))
	}
	r.agents[broker.Token(agent)] = nodes
}
