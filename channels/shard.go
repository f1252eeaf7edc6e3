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
)

// shard owns the topics that hash to it: everything about them is read and changed on its goroutine alone, so that the
// hot path takes no lock.
type shard struct {
	hub      *Hub
	live     *intake
	commands chan func()
	done     chan struct{}
	spread   spread

	topics  map[*broker.LinkSub]*topic            // of channels
	inboxes map[*broker.LinkSub]map[string]*topic // by the tenant's subscription and the subject of live copies
	marked  map[*topic]struct{}                   // inboxes that saveInboxes looks after
	dirty   []*topic                              // with a batch to send
}

func newShard(h *Hub) *shard {
	return &shard{
		hub: h, live: newIntake(&h.counts.dropped), commands: make(chan func(), commandQueue),
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

// gather takes the live copies that are there and sends each topic's share in one piece.
func (s *shard) gather() {
	all := s.live.takeAll()
	rest := all
	for i, c := range all.list {
		subject, header, data := rest.cut(c.subject), rest.cut(c.header), rest.cut(c.data)
		s.take(c.sub, subject, header, data)
		if (i+1)%batchMessages == 0 {
			s.flush()
		}
	}
	s.flush()
	if all.missed {
		s.recheck()
	}
	s.live.giveBack(all)
}

// recheck makes every topic look for what it may have missed.
func (s *shard) recheck() {
	for _, t := range s.topics {
		t.recheck()
	}
	for _, inboxes := range s.inboxes {
		for _, t := range inboxes {
			t.recheck()
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

func (s *shard) take(sub *broker.LinkSub, subject, header, data []byte) {
	t := s.topics[sub]
	if t == nil {
		t = s.inboxes[sub][string(subject)]
	}
	if t == nil {
		return // its topic was closed, or will read the message back when it opens
	}
	if broker.Unstored(header) {
		if len(data) == 0 {
			t.forget()
		} else {
			t.pass(data)
		}
		return
	}
	msg, previous, err := broker.DecodeLive(header, data)
	if err != nil {
		s.hub.log.Error("unreadable live copy", "subject", t.addr.Subject(), "err", err)
		return
	}
	t.take(msg, previous)
}

func (s *shard) flush() {
	for i, t := range s.dirty {
		t.flush()
		s.dirty[i] = nil
	}
	s.dirty = s.dirty[:0]
}
