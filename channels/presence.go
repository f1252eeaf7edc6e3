package channels

import (
	"slices"
	"time"

	"parley/broker"
)

// Presence is one socket of an agent in the roster. Enter makes it, Leave ends it; its methods are called by the
// socket's owner only.
type Presence struct {
	roster *roster
	agent  broker.Token
	joined []broker.Name
}

// Enter makes a socket of an agent known, with channels that it is subscribed to. With its first one in the cluster the
// agent is online.
func (s *Space) Enter(agent broker.Token, joined ...broker.Name) *Presence {
	p := &Presence{roster: s.roster, agent: agent, joined: joined}
	s.roster.change(agent, func(r *record) {
		r.Sockets++
		for _, channel := range joined {
			r.join(channel)
		}
	})
	return p
}

// Join says that the socket is subscribed to a channel.
func (p *Presence) Join(channel broker.Name) {
	if slices.Contains(p.joined, channel) {
		return
	}
	p.joined = append(p.joined, channel)
	p.roster.change(p.agent, func(r *record) { r.join(channel) })
}

// Part takes Join back.
func (p *Presence) Part(channel broker.Name) {
	i := slices.Index(p.joined, channel)
	if i < 0 {
		return
	}
	p.joined = slices.Delete(p.joined, i, i+1)
	p.roster.change(p.agent, func(r *record) { r.part(channel) })
}

// Say records what the agent says of itself. It counts for all its sockets, until the last one goes.
func (p *Presence) Say(status Status) {
	p.roster.change(p.agent, func(r *record) { r.Status, r.StatusAt = status, time.Now() })
}

// Leave ends the presence. With its last socket in the cluster the agent is offline.
func (p *Presence) Leave() {
	p.roster.change(p.agent, func(r *record) {
		for _, channel := range p.joined {
			r.part(channel)
		}
		r.Sockets = max(r.Sockets-1, 0)
	})
	p.joined = nil
}
