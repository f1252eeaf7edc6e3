package channels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
)

// Status is what an agent is doing. Offline is the broker's to say, Idle and Busy are the agent's.
type Status string

// The statuses.
const (
	Online  Status = "online"
	Offline Status = "offline"
	Idle    Status = "idle"
	Busy    Status = "busy"
)

// ParseStatus reads what an agent may say of itself.
func ParseStatus(s string) (Status, error) {
	switch st := Status(s); st {
	case Online, Idle, Busy:
		return st, nil
	case Offline: // the broker's to say
	}
	return "", fault.New(fault.InvalidFormat, "A status is online, idle or busy.")
}

// AgentState is what the cluster knows of an agent.
type AgentState struct {
	Agent    broker.Token
	Status   Status
	Sockets  int
	Channels []broker.Name // that it is subscribed to, sorted
	LastSeen time.Time     // when its last socket went; now for those that have one
}

// record is what one node says of an agent. It stays when the last socket goes, so that the agent remains known.
type record struct {
	Sockets  int                 `json:"sockets"`
	Channels map[broker.Name]int `json:"channels,omitempty"`
	Status   Status              `json:"status,omitempty"`   // what the agent last said of itself on this node
	StatusAt time.Time           `json:"status_at,omitzero"` // and when
	Seen     time.Time           `json:"seen"`
}

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

	mu      sync.Mutex
	agents  map[broker.Token]map[broker.Token]record // by agent and node; guarded by mu
	unsaved map[string]func() []byte                 // what run has to write, by key; guarded by mu
	news    []AgentState                             // what run has to announce; guarded by mu
}

// newRoster opens the tenant's state and reads all of it.
func newRoster(ctx context.Context, s *Space) (*roster, error) {
	kv, err := s.conn.State(ctx)
	if err != nil {
		return nil, err
	}
	r := &roster{
		space: s, kv: kv, wake: make(chan struct{}, 1),
		agents: map[broker.Token]map[broker.Token]record{}, unsaved: map[string]func() []byte{},
	}
	if r.watch, err = kv.Watch(s.life, agentKeys+">"); err != nil {
		return nil, unreachable(fmt.Errorf("watch the agents: %w", err))
	}
	for {
		select {
		case entry := <-r.watch.Updates():
			if entry == nil {
				r.buryDead()
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
				updates = nil // the connection was closed; ctx ends soon
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

// see takes in another node's record. This node's own are newer in memory.
func (r *roster) see(entry jetstream.KeyValueEntry) {
	agent, node, ok := strings.Cut(strings.TrimPrefix(entry.Key(), agentKeys), ".")
	if !ok || broker.Token(node) == r.space.hub.engine.Node() {
		return
	}
	var rec record
	put := entry.Operation() == jetstream.KeyValuePut
	if put && json.Unmarshal(entry.Value(), &rec) != nil {
		r.space.hub.log.Warn("unreadable presence", "key", entry.Key())
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	nodes := r.agents[broker.Token(agent)]
	if !put {
		delete(nodes, broker.Token(node))
		return
	}
	if nodes == nil {
		nodes = map[broker.Token]record{}
		r.agents[broker.Token(agent)] = nodes
	}
	nodes[broker.Token(node)] = rec
}

// buryDead turns what dead nodes have left as present into a last seen, and announces it. Only the warden does so.
func (r *roster) buryDead() {
	engine := r.space.hub.engine
	if engine.Warden() != engine.Node() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for agent, nodes := range r.agents {
		died := false
		for node, rec := range nodes {
			if engine.Alive(node) {
				continue
			}
			died = died || rec.Sockets > 0
			own := nodes[engine.Node()]
			own.Seen = later(own.Seen, rec.Seen)
			nodes[engine.Node()] = own
			delete(nodes, node)
			r.unsaved[agentKeys+string(agent)+"."+string(node)] = nil
			r.save(agent)
		}
		if state := r.merge(agent); died && state.Status == Offline {
			r.announce(state)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// change applies f to this node's record of an agent, writes it and announces the status if it has changed.
func (r *roster) change(agent broker.Token, f func(*record)) {
	node := r.space.hub.engine.Node()
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.merge(agent).Status
	nodes := r.agents[agent]
	if nodes == nil {
		nodes = map[broker.Token]record{}
		r.agents[agent] = nodes
	}
	rec := nodes[node]
	f(&rec)
	rec.Seen = time.Now()
	nodes[node] = rec
	r.save(agent)
	if after := r.merge(agent); after.Status != before {
		r.announce(after)
	}
}

// save has run write this node's record, as it will be then. mu is held.
func (r *roster) save(agent broker.Token) {
	node := r.space.hub.engine.Node()
	r.enqueue(agentKeys+string(agent)+"."+string(node), func() []byte {
		b, err := json.Marshal(r.agents[agent][node])
		if err != nil {
			panic(err) // unreachable: a record always marshals
		}
		return b
	})
}

func (r *roster) enqueue(key string, value func() []byte) {
	r.unsaved[key] = value
	r.nudge()
}

func (r *roster) announce(state AgentState) {
	r.news = append(r.news, state)
	r.nudge()
}

func (r *roster) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// flush writes and announces. Presence is a lease and not a record: what fails is logged, and the next change mends it.
func (r *roster) flush(ctx context.Context) {
	r.mu.Lock()
	values := make(map[string][]byte, len(r.unsaved))
	for key, value := range r.unsaved {
		if value == nil {
			values[key] = nil
		} else {
			values[key] = value()
		}
	}
	clear(r.unsaved)
	news := r.news
	r.news = nil
	r.mu.Unlock()
	conn := r.space.conn
	for key, value := range values {
		if err := conn.PutState(key, value); err != nil && ctx.Err() == nil {
			r.space.hub.log.Warn("the state of an agent could not be written", "key", key, "err", err)
		}
	}
	for _, state := range news {
		b := fmt.Appendf(nil, `{"type":"status","tenant_id":%q,"agent_id":%q,"status":%q,"timestamp":%q}`,
			r.space.tenant, state.Agent, state.Status, FormatTime(time.Now()))
		if err := conn.NATS().Publish(string(broker.StatusSubject(state.Agent)), b); err != nil && ctx.Err() == nil {
			r.space.hub.log.Warn("a status could not be announced", "agent", state.Agent, "err", err)
		}
	}
}

// merge is what all living nodes together say of an agent. mu is held.
func (r *roster) merge(agent broker.Token) AgentState {
	state := AgentState{Agent: agent, Status: Offline}
	joined := map[broker.Name]bool{}
	var said record
	for node, rec := range r.agents[agent] {
		state.LastSeen = later(state.LastSeen, rec.Seen)
		if rec.Sockets == 0 || !r.space.hub.engine.Alive(node) {
			continue
		}
		state.Sockets += rec.Sockets
		state.Status = Online
		if rec.StatusAt.After(said.StatusAt) {
			said = rec
		}
		for name := range rec.Channels {
			joined[name] = true
		}
	}
	if state.Sockets > 0 {
		state.LastSeen = time.Now()
		if said.Status != "" {
			state.Status = said.Status
		}
	}
	state.Channels = slices.Sorted(maps.Keys(joined))
	return state
}

// Agents returns all agents that were ever seen, sorted by id.
func (s *Space) Agents() []AgentState {
	s.roster.mu.Lock()
	defer s.roster.mu.Unlock()
	var all []AgentState
	for _, agent := range slices.Sorted(maps.Keys(s.roster.agents)) {
		all = append(all, s.roster.merge(agent))
	}
	return all
}

// Agent returns one agent, or fault.NotFound when it was never seen.
func (s *Space) Agent(id broker.Token) (AgentState, error) {
	s.roster.mu.Lock()
	defer s.roster.mu.Unlock()
	if len(s.roster.agents[id]) == 0 {
		return AgentState{}, fault.New(fault.NotFound, "No agent %q has been seen.", id)
	}
	return s.roster.merge(id), nil
}

// Present returns the agents that are subscribed to a channel, sorted by id.
func (s *Space) Present(channel broker.Name) []AgentState {
	s.roster.mu.Lock()
	defer s.roster.mu.Unlock()
	var present []AgentState
	for agent, nodes := range s.roster.agents {
		for node, rec := range nodes {
			if rec.Channels[channel] > 0 && s.hub.engine.Alive(node) {
				present = append(present, s.roster.merge(agent))
				break
			}
		}
	}
	slices.SortFunc(present, func(a, b AgentState) int { return strings.Compare(string(a.Agent), string(b.Agent)) })
	return present
}

func (s *Space) saveInbox(agent broker.Token, seq uint64) {
	s.roster.mu.Lock()
	defer s.roster.mu.Unlock()
	s.roster.enqueue(inboxKeys+string(agent), func() []byte { return strconv.AppendUint(nil, seq, 10) })
}

// inboxPlace returns up to where an agent's direct messages have been delivered.
func (s *Space) inboxPlace(ctx context.Context, agent broker.Token) (uint64, error) {
	entry, err := s.roster.kv.Get(ctx, inboxKeys+string(agent))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, unreachable(err)
	}
	return strconv.ParseUint(string(entry.Value()), 10, 64)
}
