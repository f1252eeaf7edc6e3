package channels

import (
	"sync"
	"time"

	"parley/internal/fault"
)

// lookAfter is how long after an event that may have cost live copies a topic is compared with the stream. The nodes of
// a cluster learn one by one who listens to what, so that right after a subscription a copy can still be lost.
const lookAfter = time.Second

// looks are the topics that are to be compared with the stream, and when. In a broker of one node there are none: a
// subscription there stands when it is confirmed.
type looks struct {
	mu  sync.Mutex
	due map[*topic]time.Time // guarded by mu
}

// lookAt has a topic compared with the stream at the first tick after the given time.
func (h *Hub) lookAt(at time.Time, topics ...*topic) {
	h.looks.mu.Lock()
	defer h.looks.mu.Unlock()
	for _, t := range topics {
		h.looks.due[t] = at
	}
}

// lookLater has a topic that was just opened looked at again.
func (h *Hub) lookLater(t *topic) {
	if h.engine.Clustered() {
		h.lookAt(time.Now().Add(lookAfter), t)
	}
}

// look compares the topics that are due with their streams. One task for each tenant does so, one topic after another.
func (h *Hub) look(now time.Time) {
	due := map[*Space][]*topic{}
	h.looks.mu.Lock()
	for t, at := range h.looks.due {
		if at.Before(now) {
			due[t.space] = append(due[t.space], t)
			delete(h.looks.due, t)
		}
	}
	h.looks.mu.Unlock()
	for s, topics := range due {
		h.task(func() { s.compare(topics) })
	}
}

// compare has each topic read what the stream holds and it has not heard of. While the stream can't be asked, the topics
// stay due.
func (s *Space) compare(topics []*topic) {
	for i, t := range topics {
		if s.life.Err() != nil {
			return
		}
		last, err := s.conn.Last(s.life, t.addr.stream(), t.addr.Subject())
		if err != nil {
			s.hub.log.Debug("a stream can't be compared now; it will be tried again", "tenant", s.tenant, "err", fault.Message(err))
			s.hub.lookAt(time.Now(), topics[i:]...)
			return
		}
		t.shard.do(func() { t.hear(last) })
	}
}

// hear notes that the stream holds a message, and reads up to it if it has not come by itself. On the shard.
func (t *topic) hear(seq uint64) {
	t.heard = max(t.heard, seq)
	if t.heard > t.last && !t.repairing && !t.closed {
		t.repair()
	}
}
