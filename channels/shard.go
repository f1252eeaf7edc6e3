package channels

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"parley/broker"
)

const (
	// liveQueue is how many live copies wait for a shard. What overflows is dropped by the NATS client and read back
	// from the stream, so that a burst costs memory only up to here.
	liveQueue = 4096
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
	live     chan *nats.Msg
	commands chan func()
	done     chan struct{}

	topics  map[*nats.Subscription]*topic            // of channels
	inboxes map[*nats.Subscription]map[string]*topic // by the tenant's subscription and the subject of live copies
	dirty   []*topic                                 // with a batch to send
}

func newShard(h *Hub) *shard {
	return &shard{
		hub: h, live: make(chan *nats.Msg, liveQueue), commands: make(chan func(), commandQueue),
		done: make(chan struct{}), topics: map[*nats.Subscription]*topic{},
		inboxes: map[*nats.Subscription]map[string]*topic{},
	}
}

func (s *shard) run(ctx context.Context) {
	defer close(s.done)
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	for {
		select {
		case m := <-s.live:
			s.gather(m)
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

// gather takes m and what has arrived behind it, then sends each topic's share in one piece.
func (s *shard) gather(m *nats.Msg) {
	s.take(m)
	for range batchMessages - 1 {
		select {
		case m := <-s.live:
			s.take(m)
			continue
		default:
		}
		break
	}
	s.flush()
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
	if t.addr.Agent == "" {
		delete(s.topics, t.sub)
		return
	}
	delete(s.inboxes[t.sub], string(t.addr.Subject().Live()))
	if len(s.inboxes[t.sub]) == 0 {
		delete(s.inboxes, t.sub)
	}
}

func (s *shard) take(m *nats.Msg) {
	t := s.topics[m.Sub]
	if t == nil {
		t = s.inboxes[m.Sub][m.Subject]
	}
	if t == nil {
		return // its topic was closed, or will read the message back when it opens
	}
	msg, previous, err := broker.DecodeLive(m)
	if err != nil {
		s.hub.log.Error("unreadable live copy", "subject", m.Subject, "err", err)
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
