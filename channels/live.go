package channels

import (
	"sync"

	"parley/broker"
	"parley/internal/meter"
)

const (
	// liveQueue and liveBytes bound the live copies of one tenant that wait for a shard. What comes beyond is dropped and
	// read back from the stream, so that a burst costs memory only up to here.
	liveQueue = 4096
	liveBytes = 8 << 20
	// heldBytes is from how many waiting bytes of all tenants on a tenant may leave only fairBytes.
	heldBytes = 4 * liveBytes
	fairBytes = 1 << 20
	// spareBytes and maxSpare bound what an intake keeps when it is empty.
	spareBytes = 1 << 20
	maxSpare   = 4
)

// intake is where the links leave live copies for a shard, each tenant's in a lane of its own. The lanes take turns, so that
// a tenant that publishes much waits behind itself only.
type intake struct {
	ready   chan struct{} // told when something has come
	dropped *meter.Counter

	mu    sync.Mutex
	turns []*lane      // guarded by mu; those with something in them, the next one first
	held  int          // guarded by mu; bytes in all lanes
	spare []liveCopies // guarded by mu; empty
}

// lane is a tenant's part of an intake. It is a broker.Taker.
type lane struct {
	in    *intake
	space *Space

	// Guarded by in.mu.
	here    liveCopies
	waiting bool // among in.turns, or having its turn

	// Owned by the shard.
	batch  liveCopies // taken from here, and delivered up to at
	at     int
	text   liveCopies // what is left of the batch's text
	credit int        // deliveries that it may still make, negative when it has made more than its share
}

// liveCopies are messages in one piece of memory.
type liveCopies struct {
	list   []liveCopy
	text   []byte
	missed bool // there were more
}

// liveCopy is a message that lies in the text behind the ones before it.
type liveCopy struct {
	sub                   *broker.LinkSub
	subject, header, data int // how many bytes they have

	topic        *topic // of a message that the feed has left; nil for a live copy
	seq, foreign uint64 // see topic.takeOwn
}

func newIntake(dropped *meter.Counter) *intake {
	return &intake{ready: make(chan struct{}, 1), dropped: dropped}
}

// Take implements broker.Taker.
func (l *lane) Take(m *broker.Arrival) {
	l.leave(liveCopy{sub: m.Sub, subject: len(m.Subject), header: len(m.Header), data: len(m.Data)}, m.Subject, m.Header, m.Data)
}

// leave puts a message behind the others, and returns false when there is no room for it.
func (l *lane) leave(c liveCopy, subject, header, data []byte) bool {
	in, h := l.in, &l.here
	in.mu.Lock()
	defer in.mu.Unlock()
	size := c.subject + c.header + c.data
	after := len(h.text) + size
	if len(h.list) == liveQueue || len(h.list) > 0 && (after > liveBytes || after > fairBytes && in.held+size > heldBytes) {
		h.missed = true
		in.dropped.Inc()
		return false
	}
	if n := len(in.spare); h.list == nil && n > 0 {
		*h, in.spare = in.spare[n-1], in.spare[:n-1]
	}
	h.list = append(h.list, c)
	h.text = append(append(append(h.text, subject...), header...), data...)
	in.held += size
	if !l.waiting {
		l.waiting = true
		in.turns = append(in.turns, l)
	}
	return true
}

// Pause implements broker.Taker.
func (l *lane) Pause() { l.in.nudge() }

func (in *intake) nudge() {
	select {
	case in.ready <- struct{}{}:
	default:
	}
}

// next returns the lane whose turn it is with something in its batch, nil when there is none, and whether others wait. The
// caller ends the turn.
func (in *intake) next() (l *lane, others bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.turns) == 0 {
		return nil, false
	}
	l, in.turns = in.turns[0], in.turns[1:]
	if l.at == len(l.batch.list) {
		l.batch, l.here, l.at = l.here, liveCopies{}, 0
		l.text = l.batch
	}
	return l, len(in.turns) > 0
}

// others reports whether lanes wait for the end of a turn.
func (in *intake) others() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.turns) > 0
}

// end ends a lane's turn.
func (in *intake) end(l *lane) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if l.at == len(l.batch.list) {
		in.held -= len(l.batch.text)
		if len(in.spare) < maxSpare && cap(l.batch.text) <= spareBytes {
			in.spare = append(in.spare, liveCopies{list: l.batch.list[:0], text: l.batch.text[:0]})
		}
		l.batch, l.text, l.at = liveCopies{}, liveCopies{}, 0
	}
	if l.at < len(l.batch.list) || len(l.here.list) > 0 {
		in.turns = append(in.turns, l)
	} else {
		l.waiting = false
	}
	if len(in.turns) > 0 {
		in.nudge()
	}
}

// cut takes n bytes off the text.
func (c *liveCopies) cut(n int) (b []byte) {
	b, c.text = c.text[:n:n], c.text[n:]
	return b
}
