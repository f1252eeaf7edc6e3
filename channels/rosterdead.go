package channels

import (
	"time"

	"parley/broker"
)

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

// saveLost writes this node's record of an agent again.
func (r *roster) saveLost(agent broker.Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.agents[agent].of(r.space.hub.engine.Node()) != nil {
		r.save(agent)
	}
}

// saveAll writes this node's record of everybody who is here again: the others may have believed this node dead.
func (r *roster) saveAll() {
	node := r.space.hub.engine.Node()
	r.mu.Lock()
	defer r.mu.Unlock()
	for agent, nodes := range r.agents {
		if own := nodes.of(node); own != nil && own.Sockets > 0 {
			r.save(agent)
			r.announce(agent, r.status(nodes))
		}
	}
}
