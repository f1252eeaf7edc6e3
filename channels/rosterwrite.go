package channels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
)

// change applies f to this node's record of an agent, writes it and announces the status if it has changed.
func (r *roster) change(agent broker.Token, f func(*record)) {
	node := r.space.hub.engine.Node()
	r.mu.Lock()
	defer r.mu.Unlock()
	nodes := r.agents[agent]
	before := r.status(nodes)
	own := nodes.of(node)
	if own == nil {
		nodes = nodes.set(node, record{})
		r.agents[agent] = nodes
		own = nodes.of(node)
	}
	now := time.Now()
	if since, here := nodes.here(r.space.hub.engine.Alive); own.Sockets == 0 && (!here || own.Seen.Before(since)) {
		own.Status, own.StatusAt, own.Since = "", time.Time{}, now // what it said before belongs to an earlier life
	}
	f(own)
	own.Seen = now
	r.save(agent)
	if after := r.status(nodes); after != before {
		r.announce(agent, after)
	}
}

// save has run write this node's record, as it will be then. mu is held.
func (r *roster) save(agent broker.Token) {
	r.unsaved[agent] = struct{}{}
	r.nudge()
}

func (r *roster) announce(agent broker.Token, status Status) {
	r.news = append(r.news, AgentState{Agent: agent, Status: status})
	r.nudge()
}

func (r *roster) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// write is a key with what is to be its value, nil to purge it.
type write struct {
	key   string
	value []byte
}

// takeUnsaved returns what is to be written, and forgets it.
func (r *roster) takeUnsaved() (writes []write, news []AgentState) {
	node := r.space.hub.engine.Node()
	r.mu.Lock()
	defer r.mu.Unlock()
	for agent := range r.unsaved {
		b, err := json.Marshal(r.agents[agent].of(node))
		if err != nil {
			panic(err) // unreachable: a record always marshals
		}
		writes = append(writes, write{agentKeys + string(agent) + "." + string(node), b})
	}
	for agent, seq := range r.positions {
		writes = append(writes, write{inboxKeys + string(agent), strconv.AppendUint(nil, seq, 10)})
	}
	for _, key := range r.buried {
		writes = append(writes, write{key, nil})
	}
	news = r.news
	clear(r.unsaved)
	clear(r.positions)
	r.buried, r.news = nil, nil
	return writes, news
}

// flush writes and announces. Presence is a lease and not a record: what fails is logged, and the next change mends it.
func (r *roster) flush(ctx context.Context) {
	writes, news := r.takeUnsaved()
	conn := r.space.conn
	for _, w := range writes {
		if err := conn.PutState(w.key, w.value); err != nil && ctx.Err() == nil {
			r.space.hub.log.Warn("the state of an agent could not be written", "key", w.key, "err", err)
		}
	}
	now := FormatTime(time.Now())
	for _, state := range news {
		b := fmt.Appendf(nil, `{"type":"status","tenant_id":%q,"agent_id":%q,"status":%q,"timestamp":%q}`,
			r.space.tenant, state.Agent, state.Status, now)
		if err := conn.NATS().Publish(string(broker.StatusSubject(state.Agent)), b); err != nil && ctx.Err() == nil {
			r.space.hub.log.Warn("a status could not be announced", "agent", state.Agent, "err", err)
		}
	}
}

func (s *Space) saveInbox(agent broker.Token, seq uint64) {
	s.roster.mu.Lock()
	defer s.roster.mu.Unlock()
	s.roster.positions[agent] = seq
	s.roster.nudge()
}

// inboxPlace returns up to where an agent's direct messages have been delivered.
func (s *Space) inboxPlace(ctx context.Context, agent broker.Token) (uint64, error) {
	var entry jetstream.KeyValueEntry
	err := s.conn.Insist(ctx, func(ctx context.Context) (err error) {
		entry, err = s.roster.kv.Get(ctx, inboxKeys+string(agent))
		return err
	})
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, unreachable(err)
	}
	return strconv.ParseUint(string(entry.Value()), 10, 64)
}
