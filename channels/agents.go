package channels

import (
	"maps"
	"slices"
	"strings"
	"time"

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

// status is the part of merge that announcements need: what the agent said last since it is here, on whatever node. mu is
// held.
func (r *roster) status(nodes sightings) Status {
	alive := r.space.hub.engine.Alive
	since, here := nodes.here(alive)
	if !here {
		return Offline
	}
	status := Online
	var saidAt time.Time
	for i := range nodes {
		rec := &nodes[i].record
		if rec.Status != "" && rec.StatusAt.After(saidAt) && !rec.StatusAt.Before(since) && alive(nodes[i].node) {
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
