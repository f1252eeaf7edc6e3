package channels

import (
	"context"
	"time"

	"parley/acks"
	"parley/broker"
	"parley/internal/fault"
	"parley/internal/rawjson"
	"parley/tenants"
)

// SetPolicies has a tenant's policies hold from now on, for who is connected, too. Of a tenant that is not open it does
// nothing: Open asks for the policies.
func (h *Hub) SetPolicies(tenant tenants.ID, all tenants.Policies) {
	h.mu.Lock()
	s := h.spaces[tenant]
	h.mu.Unlock()
	if s != nil {
		s.policies.Store(&all)
	}
}

// policy returns the policy of an address, nil when it has none.
func (s *Space) policy(of Address) *tenants.Policy {
	all := s.policies.Load()
	if all == nil || of.Agent != "" {
		return nil
	}
	return all.For(of.Channel)
}

// Policy returns the policy that holds for a channel, nil when none does.
func (s *Space) Policy(channel broker.Name) *tenants.Policy {
	return s.policy(Address{Tenant: s.tenant, Channel: channel})
}

// obey says how m is to be published, or why not.
func (s *Space) obey(m Message) (ttl time.Duration, ephemeral bool, err error) {
	p := s.policy(m.To)
	if p == nil {
		return 0, false, nil
	}
	if !p.MayPublish(m.Sender) {
		return 0, false, fault.New(fault.PermissionDenied, "The channel %s is not one that %s may publish on.", m.To.Channel, m.Sender)
	}
	return time.Duration(p.MaxAge) * time.Second, p.Ephemeral, nil
}

// pass hands m to who is there: to services on the channel's subject, where no stream takes it, and to the nodes on that of
// live copies.
func (s *Space) pass(m Message, data []byte, r acks.Receipt) error {
	return s.publish.Pass(acks.Message{Subject: m.To.Subject(), Sender: m.Sender, Data: data}, m.To.Subject().Live(), r)
}

// pass sends on what is not stored. On the shard.
func (t *topic) pass(data []byte) {
	t.flush() // what was stored before it comes before it
	frame := t.space.hub.cfg.Frame(nil, data)
	var room [16]rawjson.Member
	members, err := rawjson.Object(room[:0], data)
	if err != nil {
		return // only nodes publish here
	}
	e := readEnvelope(members)
	sender := e.agent()
	for _, m := range t.members {
		m.pass(frame, sender)
	}
}

// forget drops what memory holds of a topic whose messages were removed from the store. On the shard.
func (t *topic) forget() {
	t.flush()
	t.ring = ring{base: t.last}
}

// pass sends one message that has no place in the stream.
func (s *Subscription) pass(frame []byte, sender broker.Token) {
	if s.dead || s.opts.Quiet && sender == s.opts.Agent {
		return
	}
	if err := s.sink.Send(frame); err != nil {
		s.dead = true
	}
}

// Purge removes all messages of a channel, from memory on all nodes, too, and returns how many there were.
func (s *Space) Purge(ctx context.Context, channel broker.Name) (n uint64, err error) {
	subject := broker.ChannelSubject(channel)
	counts, err := s.conn.Subjects(ctx, broker.Channels, string(subject))
	if err != nil {
		return 0, err
	}
	if err := s.conn.Purge(ctx, broker.Channels, subject, 0, 0); err != nil {
		return 0, err
	}
	if err := s.hub.engine.Sync(); err != nil {
		return 0, err
	}
	// A live copy of nothing tells the nodes: see shard.take.
	return counts[string(subject)], s.link.Publish(broker.Departure{Subject: subject.Live()})
}

// Count returns how many messages a channel holds.
func (s *Space) Count(ctx context.Context, channel broker.Name) (uint64, error) {
	subject := string(broker.ChannelSubject(channel))
	counts, err := s.conn.Subjects(ctx, broker.Channels, subject)
	return counts[subject], err
}
