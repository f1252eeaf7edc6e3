package channels

import (
	"context"
	"time"

	"parley/broker"
)

const (
	// commandQueue is how many joins, leaves and repairs wait for a shard; their senders wait beyond.
	commandQueue = 256
	// batchMessages bounds how many live copies are gathered before they are sent on: as many as are there, but no
	// subscriber waits for more than these to be encoded.
	batchMessages = 256
	// batchBytes bounds what one subscriber is sent in one piece.
	batchBytes = 64 << 10
	// quantum is how many deliveries a tenant makes in one turn while others wait.
	quantum = 4096
	// mixedFor is for how many turns of one tenant in a row others are still expected, who were there before.
	mixedFor = 64
)

// shard owns the topics that hash to it: everything about them is read and changed on its goroutine alone, so that the
// hot path takes no lock.
type shard struct {
	hub      *Hub
	live     *intake
	commands chan func()
	done     chan struct{}
	spread   spread
	number   int // of the shard

	latest *lane // who had the last turn
	mixed  int   // counts down the turns until latest counts as alone

	topics  map[*broker.LinkSub]*topic            // of channels
	inboxes map[*broker.LinkSub]map[string]*topic // by the tenant's subscription and the subject of live copies
	marked  map[*topic]struct{}                   // inboxes that saveInboxes looks after
	dirty   []*topic                              // with a batch to send
}

func newShard(h *Hub, number int) *shard {
	return &shard{
		hub: h, number: number, live: newIntake(&h.counts.dropped), commands: make(chan func(), commandQueue),
		done: make(chan struct{}), topics: map[*broker.LinkSub]*topic{},
		inboxes: map[*broker.LinkSub]map[string]*topic{}, marked: map[*topic]struct{}{},
	}
}

func (s *shard) run(ctx context.Context) {
	defer close(s.done)
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	for {
		select {
		case <-s.live.ready:
			s.gather()
		case f := <-s.commands:
			f()
		case <-save.C:
			s.saveInboxes()
		case <-ctx.Done():
			return
		}
	}
}

// do runs f on the shard's goroutine, later. After the shard has ended f does not run, and do returns false.
func (s *shard) do(f func()) bool {
	select {
	case s.commands <- f:
		return true
	case <-s.done:
		return false
	}
}

// gather gives one tenant its turn: it sends on the live copies that are there, each topic's share in one piece. While other
// tenants have copies, too, a turn is about a quantum of deliveries, and who takes more in one piece lets turns pass.
func (s *shard) gather() {
	l, others := s.live.next()
	if l == nil {
		return
	}
	if l != s.latest || others {
		s.latest, s.mixed = l, mixedFor
	}
	s.mixed = max(0, s.mixed-1)
	if s.mixed == 0 {
		l.credit = 0
	}
	l.credit = min(l.credit+quantum, quantum)
	if l.credit > 0 || !others {
		s.deliverLane(l)
	}
	missed := l.at == len(l.batch.list) && l.batch.missed
	s.live.end(l)
	if missed {
		s.recheck(l.space)
	}
}

// deliverLane delivers from a lane's batch for as long as its turn is.
func (s *shard) deliverLane(l *lane) {
	for n := 1; l.at < len(l.batch.list); n++ {
		c := l.batch.list[l.at]
		l.at++
		subject, header, data := l.text.cut(c.subject), l.text.cut(c.header), l.text.cut(c.data)
		if c.topic != nil {
			l.credit -= 1 + s.takeOwn(c, data)
		} else {
			l.credit -= 1 + s.take(c.sub, subject, header, data)
		}
		if n%batchMessages == 0 {
			s.flush()
		}
		if l.credit <= 0 && (s.mixed > 0 || n%batchMessages == 0 && s.live.others()) {
			break
		}
	}
	s.flush()
}

// recheck makes every topic of a tenant look for what it may have missed.
func (s *shard) recheck(of *Space) {
	for _, t := range s.topics {
		if t.space == of {
			t.recheck()
		}
	}
	for _, inboxes := range s.inboxes {
		for _, t := range inboxes {
			if t.space == of {
				t.recheck()
			}
		}
	}
}

// add has t hear of its live copies.
func (s *shard) add(t *topic) {
	if t.addr.Agent == "" {
		s.topics[t.sub] = t
		return
	}
	if s.inboxes[t.sub] == nil {
		s.inboxes[t.sub] = map[string]*topic{}
	}
	s.inboxes[t.sub][string(t.addr.Subject().Live())] = t
}

// remove undoes add.
func (s *shard) remove(t *topic) {
	delete(s.marked, t)
	if t.addr.Agent == "" {
		delete(s.topics, t.sub)
		return
	}
	delete(s.inboxes[t.sub], string(t.addr.Subject().Live()))
	if len(s.inboxes[t.sub]) == 0 {
		delete(s.inboxes, t.sub)
	}
}

// take takes a live copy and returns how many deliveries it will be.
func (s *shard) take(sub *broker.LinkSub, subject, header, data []byte) int {
	t := s.topics[sub]
	if t == nil {
		t = s.inboxes[sub][string(subject)]
	}
	if t == nil {
		return 0 // its topic was closed, or will read the message back when it opens
	}
	if broker.Unstored(header) {
		if len(data) == 0 {
			t.forget()
		} else {
			t.pass(data)
		}
		return len(t.members)
	}
	msg, previous, err := broker.DecodeLive(header, data)
	if err != nil {
		s.hub.log.Error("unreadable live copy", "subject", t.addr.Subject(), "err", err)
		return 0
	}
	t.take(msg, previous)
	return len(t.members)
}

// takeOwn takes a message that this node has stored itself and returns how many deliveries it will be.
func (s *shard) takeOwn(c liveCopy, data []byte) int {
	t := c.topic
	if t.closed {
		return 0
	}
	t.takeOwn(broker.Stored{Seq: c.seq, Data: data}, c.foreign)
	return len(t.members)
}

func (s *shard) flush() {
	for i, t := range s.dirty {
		t.flush()
		s.dirty[i] = nil
	}
	s.dirty = s.dirty[:0]
}
