package channels

import (
	"sync"

	"parley/broker"
	"parley/internal/meter"
)

const (
	// liveQueue and liveBytes bound the live copies that wait for a shard. What comes beyond is dropped and read back from
	// the stream, so that a burst costs memory only up to here.
	liveQueue = 4096
	liveBytes = 8 << 20
	// spareBytes bounds what an intake keeps when it is empty.
	spareBytes = 1 << 20
)

// intake is where the links leave live copies for a shard. It is a broker.Taker.
type intake struct {
	ready   chan struct{} // told when something has come
	dropped *meter.Counter

	mu    sync.Mutex
	here  liveCopies // guarded by mu
	spare liveCopies // guarded by mu; empty
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
}

func newIntake(dropped *meter.Counter) *intake {
	return &intake{ready: make(chan struct{}, 1), dropped: dropped}
}

// Take implements broker.Taker.
func (in *intake) Take(m *broker.Arrival) {
	in.mu.Lock()
	defer in.mu.Unlock()
	h := &in.here
	if len(h.list) == liveQueue || len(h.text)+len(m.Header)+len(m.Data) > liveBytes {
		h.missed = true
		in.dropped.Inc()
		return
	}
	h.list = append(h.list, liveCopy{m.Sub, len(m.Subject), len(m.Header), len(m.Data)})
	h.text = append(append(append(h.text, m.Subject...), m.Header...), m.Data...)
}

// Pause implements broker.Taker.
func (in *intake) Pause() {
	select {
	case in.ready <- struct{}{}:
	default:
	}
}

// takeAll returns what is there. The caller gives it back.
func (in *intake) takeAll() liveCopies {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := in.here
	in.here, in.spare = in.spare, liveCopies{}
	return all
}

// giveBack takes the memory of copies that have been dealt with.
func (in *intake) giveBack(c liveCopies) {
	if cap(c.text) > spareBytes {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.spare = liveCopies{list: c.list[:0], text: c.text[:0]}
}

// cut takes n bytes off the text.
func (c *liveCopies) cut(n int) (b []byte) {
	b, c.text = c.text[:n:n], c.text[n:]
	return b
}
