package channels

import (
	"context"
	"time"

	"parley/broker"
)

// odometer is what a Sink can have: how many bytes it was given and how many of them its socket has taken, so that a
// direct message counts as delivered only when it is out of this process.
type odometer interface {
	Queued() uint64
	Flushed() uint64
}

// inbox is how far an agent's direct messages have been delivered. Owned by the topic's shard.
type inbox struct {
	taken uint64 // the newest sequence that a socket of the agent has taken
	saved uint64 // what of it is in the tenant's state

	leaving int             // sockets that are gone, but whose replay has not ended
	waiting []*Subscription // those that begin when it has
}

// saveEvery is how often positions are written. A crash in between makes the agent get the last messages again.
const saveEvery = 250 * time.Millisecond

// mark says that everything up to seq is taken when the sink has flushed up to offset.
type mark struct{ seq, offset uint64 }

// marks are in the order of both. They are few: more than maxMarks are merged, at the price of a later notice.
type marks []mark

const maxMarks = 64

// SubscribeInbox is Subscribe for an agent's direct messages. Start it with StartInbox.
func (s *Space) SubscribeInbox(ctx context.Context, agent broker.Token) (*Subscription, error) {
	sub, err := s.Subscribe(ctx, Address{Tenant: s.tenant, Agent: agent}, SubscribeOptions{Agent: agent})
	if err != nil || sub.place == 0 { // nothing is stored for it, so that nothing can have been delivered
		return sub, err
	}
	if sub.place, err = s.inboxPlace(ctx, agent); err != nil {
		sub.Close()
		return nil, err
	}
	return sub, nil
}

// StartInbox begins delivery to sink with the direct messages that no socket of the agent has taken yet.
func (s *Subscription) StartInbox(sink Sink) {
	s.sink = sink
	s.topic.shard.do(s.admitInbox)
}

// admitInbox starts s behind what the agent's other sockets have taken. One whose replay is being ended may still have
// more to say of that. On the shard.
func (s *Subscription) admitInbox() {
	t := s.topic
	i := &t.inbox
	if i.leaving > 0 {
		i.waiting = append(i.waiting, s)
		return
	}
	for _, m := range t.members {
		t.taken(m)
	}
	i.taken = max(i.taken, s.place)
	i.saved = max(i.saved, s.place)
	s.next = Since{Seq: i.taken}
	s.admit()
}

// left ends the wait of those who came while a socket's replay was being ended. On the shard.
func (i *inbox) left() {
	if i.leaving--; i.leaving > 0 {
		return
	}
	waiting := i.waiting
	i.waiting = nil
	for _, s := range waiting {
		s.admitInbox()
	}
}

// mark notes what the sink was just given. On the shard, or in the replay.
func (s *Subscription) mark() {
	m, ok := s.sink.(odometer)
	if !ok {
		return
	}
	now := mark{s.next.Seq, m.Queued()}
	if len(s.marks) == maxMarks {
		s.marks[maxMarks-1] = now
		return
	}
	s.marks = append(s.marks, now)
}

// taken moves the inbox on to what the socket of s has taken. On the shard.
func (t *topic) taken(s *Subscription) {
	m, ok := s.sink.(odometer)
	if !ok || len(s.marks) == 0 {
		return
	}
	flushed, n := m.Flushed(), 0
	for n < len(s.marks) && s.marks[n].offset <= flushed {
		t.inbox.taken = max(t.inbox.taken, s.marks[n].seq)
		n++
	}
	s.marks = append(s.marks[:0], s.marks[n:]...)
}

// saveTaken writes the position when it has moved. On the shard.
func (t *topic) saveTaken() {
	if t.inbox.taken > t.inbox.saved {
		t.inbox.saved = t.inbox.taken
		t.space.saveInbox(t.addr.Agent, t.inbox.taken)
	}
}

// saveInboxes looks after the inboxes of the shard that have sockets with something to take. On the shard.
func (s *shard) saveInboxes() {
	for t := range s.marked {
		left := false
		for _, m := range t.members {
			t.taken(m)
			left = left || len(m.marks) > 0
		}
		t.saveTaken()
		if !left {
			delete(s.marked, t)
		}
	}
}
