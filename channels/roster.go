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
	if put {
		nodes = nodes.set(broker.Token(node), rec)
	} else {
		nodes = nodes.drop(broker.Token(node))
	}
	r.agents[broker.Token(agent)] = nodes
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
		died, seen := false, time.Time{}
		var dead []broker.Token
		for _, s := range nodes {
			if !engine.Alive(s.node) {
				died = died || s.Sockets > 0
				seen = later(seen, s.Seen)
				dead = append(dead, s.node)
			}
		}
		if len(dead) == 0 {
			continue
		}
		for _, node := range dead {
			nodes = nodes.drop(node)
			r.buried = append(r.buried, agentKeys+string(agent)+"."+string(node))
		}
		var own record
		if o := nodes.of(engine.Node()); o != nil {
			own = *o
		}
		own.Seen = later(own.Seen, seen)
		r.agents[agent] = nodes.set(engine.Node(), own)
		r.save(agent)
		if state := r.merge(agent); died && state.Status == Offline {
			r.announce(agent, Offline)
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
	nodes := r.agents[agent]
	before := r.status(nodes)
	own := nodes.of(node)
	if own == nil {
		nodes = nodes.set(node, record{})
		r.agents[agent] = nodes
		own = nodes.of(node)
	}
	f(own)
	own.Seen = time.Now()
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

// status is the part of merge that announcements need. mu is held.
func (r *roster) status(nodes sightings) Status {
	status := Offline
	var saidAt time.Time
	for i := range nodes {
		rec := &nodes[i].record
		if rec.Sockets == 0 || !r.space.hub.engine.Alive(nodes[i].node) {
			continue
		}
		if status == Offline {
			status = Online
		}
		if rec.Status != "" && rec.StatusAt.After(saidAt) {
			status, saidAt = rec.Status, rec.StatusAt
		}
	}
	return status
}

// merge is what all living nodes together say of an agent. mu is held.
func (r *roster) merge(agent broker.Token) AgentState {
	nodes := r.agents[agent]
	state := AgentState{Agent: agent, Status: r.status(nodes)}
	for _, s := range nodes {
		state.LastSeen = later(state.LastSeen, s.Seen)
		if s.Sockets == 0 || !r.space.hub.engine.Alive(s.node) {
			continue
		}
		state.Sockets += s.Sockets
		for _, in := range s.Channels {
			state.Channels = append(state.Channels, in.channel)
		}
	}
	if state.Sockets > 0 {
		state.LastSeen = time.Now()
	}
	slices.Sort(state.Channels)
	state.Channels = slices.Compact(state.Channels)
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
		for i := range nodes {
			if _, in := nodes[i].Channels.find(channel); in && s.hub.engine.Alive(nodes[i].node) {
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
