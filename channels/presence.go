package channels

import (
	"time"

	"parley/broker"
)

// Presence is one socket of an agent in the roster. Enter makes it, Leave ends it; its methods are called by the
// socket's owner only.
type Presence struct {
	roster *roster
	agent  broker.Token
	joined map[broker.Name]bool
}

// Enter makes a socket of an agent known. With its first one in the cluster the agent is online.
func (s *Space) Enter(agent broker.Token) *Presence {
	p := &Presence{roster: s.roster, agent: agent}
	s.roster.change(agent, func(r *record) {
		if r.Sockets == 0 {
			r.Status, r.StatusAt = "", time.Time{} // what it said in an earlier life
		}
		r.Sockets++
	})
	return p
}

// Join says that the socket is subscribed to a channel.
func (p *Presence) Join(channel broker.Name) {
	if p.joined[channel] {
		return
	}
	if p.joined == nil {
		p.joined = map[broker.Name]bool{}
	}
	p.joined[channel] = true
	p.roster.change(p.agent, func(r *record) {
		if r.Channels == nil {
			r.Channels = map[broker.Name]int{}
		}
		r.Channels[channel]++
	})
}

// Part takes Join back.
func (p *Presence) Part(channel broker.Name) {
	if !p.joined[channel] {
		return
	}
	delete(p.joined, channel)
	p.roster.change(p.agent, func(r *record) { r.part(channel) })
}

func (r *record) part(channel broker.Name) {
	r.Channels[channel]--
	if r.Channels[channel] <= 0 {
		delete(r.Channels, channel)
	}
}

// Say records what the agent says of itself. It counts for all its sockets, until the last one goes.
func (p *Presence) Say(status Status) {
	p.roster.change(p.agent, func(r *record) { r.Status, r.StatusAt = status, time.Now() })
}

// Leave ends the presence. With its last socket in the cluster the agent is offline.
func (p *Presence) Leave() {
	p.roster.change(p.agent, func(r *record) {
		for channel := range p.joined {
			r.part(channel)
		}
		r.Sockets = max(r.Sockets-1, 0)
	})
	p.joined = nil
}
