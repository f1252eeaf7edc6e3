package channels

import (
	"context"
	"slices"
	"sync"
	"time"

	"parley/broker"
)

// topic is one address on this node: one NATS subscription, fanned out to all local subscriptions. It moves forward only
// along the stream: a live copy that does not follow the last one starts a repair, which reads what is between.
type topic struct {
	space *Space
	shard *shard
	addr  Address
	ready chan struct{} // closed when open has ended; err and start are set before
	err   error
	sub   *broker.LinkSub // its own, or that of all inboxes

	// Guarded by space.mu.
	refs int
	idle time.Time // when refs last became 0
	fed  bool      // it takes what the feed has

	unfed uint64 // the newest sequence that there was no room for; owned by the feed

	// Owned by the shard.
	last      uint64 // the newest sequence that was sent on
	heard     uint64 // the newest sequence that was heard of
	untold    uint64 // up to here the topic knows of all that it was not told, since it was opened later
	repairing bool   // or being opened
	again     bool   // what a repair reads from now on is wanted, too
	closed    bool
	members   []*Subscription
	ring      ring
	batch     []byte  // frames to send, handed over with flush
	entries   []entry // what the batch consists of
	scratch   []byte
	inbox     inbox // for an agent's inbox
}

// entry is one message of a batch.
type entry struct {
	seq    uint64
	sender broker.Token
	frame  []byte
}

// open subscribes and finds the topic's place in the stream. What is published meanwhile is read back by the first
// repair, since the place is looked up after the subscription stands.
func (t *topic) open(ctx context.Context) error {
	if err := t.listen(); err != nil {
		return err
	}
	t.shard.do(func() { t.shard.add(t) })
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	untold := t.space.startFeed(t)
	last, base, err := t.place(ctx)
	if err != nil {
		t.shard.do(t.shut)
		return err
	}
	t.shard.do(func() {
		t.last, t.ring.base, t.untold, t.repairing = last, base, untold, false
		t.heard = max(t.heard, last)
		if t.heard > t.last || t.again {
			t.repair()
		}
	})
	t.space.hub.lookLater(t)
	return nil
}

// listen subscribes to the topic's live copies, unless it is an inbox: one subscription serves all inboxes of a tenant.
func (t *topic) listen() (err error) {
	if t.addr.Agent != "" {
		t.sub = t.space.mail
		return nil
	}
	t.sub, err = t.space.link.Subscribe(string(t.addr.Subject().Live()), t.space.lanes[t.shard.number])
	if err != nil {
		return unreachable(err)
	}
	return nil
}

// place returns the newest sequence of the address, and the one up to which only the store knows what there was: of a
// channel that is empty, retention may have dropped everything.
func (t *topic) place(ctx context.Context) (last, base uint64, err error) {
	if t.addr.Agent == "" { // the subscription of the inboxes has been standing for long
		if err := t.space.link.Flush(ctx); err != nil {
			return 0, 0, unreachable(err)
		}
	}
	if last, err = t.space.conn.Last(ctx, t.addr.stream(), t.addr.Subject()); err != nil || last > 0 || t.addr.Agent != "" {
		return last, last, err
	}
	base, err = t.space.bases.newest(ctx, t.space.conn)
	return 0, base, err
}

// bases tells how far the stream of channels has come. Many topics are opened at the same time, by clients that come back
// after a break, and the answer to one serves them all.
type bases struct {
	mu  sync.Mutex // held while the stream is asked
	seq uint64     // guarded by mu
	at  time.Time  // when seq was asked for; guarded by mu
}

// baseAge is how old an answer may be. Nothing that was stored since can have been dropped by retention.
const baseAge = 100 * time.Millisecond

func (b *bases) newest(ctx context.Context, conn *broker.Conn) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.at) < baseAge {
		return b.seq, nil
	}
	_, seq, err := conn.Bounds(ctx, broker.Channels)
	if err != nil {
		return 0, err
	}
	b.seq, b.at = seq, now
	return seq, nil
}

// shut ends the topic. On the shard.
func (t *topic) shut() {
	t.closed = true
	t.shard.remove(t)
	if t.addr.Agent == "" {
		t.space.link.Unsubscribe(t.sub)
	}
}

// take handles one live copy whose predecessor on the subject has the given sequence. On the shard.
func (t *topic) take(m broker.Stored, previous uint64) {
	t.heard = max(t.heard, m.Seq)
	switch {
	case t.repairing || m.Seq <= t.last:
	case previous > t.last:
		t.repair()
	default:
		t.add(m)
	}
}

// takeOwn handles one message that this node has stored. Up to the sequence foreign, others may have stored some on the subject
// that nobody told of. On the shard.
func (t *topic) takeOwn(m broker.Stored, foreign uint64) {
	if foreign <= t.untold {
		foreign = 0
	}
	t.take(m, foreign)
}

// add puts the next message into the batch. On the shard.
func (t *topic) add(m broker.Stored) {
	if len(t.entries) == 0 {
		t.shard.dirty = append(t.shard.dirty, t)
	}
	t.last = m.Seq
	start := len(t.batch)
	var sender broker.Token
	t.scratch, sender = appendDelivery(t.scratch[:0], t.addr, m)
	t.batch = t.space.hub.cfg.Frame(t.batch, t.scratch)
	t.entries = append(t.entries, entry{m.Seq, sender, t.batch[start:]})
	if len(t.batch) >= batchBytes {
		t.send()
	}
}

// flush sends what is left of the batch. On the shard.
func (t *topic) flush() {
	if len(t.entries) > 0 {
		t.send()
	}
}

// send gives the batch to all members, which keep it by reference, and to the ring.
func (t *topic) send() {
	batch := slices.Clip(t.batch)
	rebase(t.entries, batch)
	t.shard.deliver(t.members, batch, t.entries)
	if t.addr.Agent != "" {
		t.shard.marked[t] = struct{}{}
	}
	for _, e := range t.entries {
		t.ring.add(e, t.space.hub.cfg)
	}
	t.batch = nil
	clear(t.entries)
	t.entries = t.entries[:0]
}

// rebase points the entries into batch: while it grew they pointed into arrays it has left behind.
func rebase(entries []entry, batch []byte) {
	for i := range entries {
		n := len(entries[i].frame)
		entries[i].frame, batch = batch[:n:n], batch[n:]
	}
}

// recheck reads what lies behind last. On the shard.
func (t *topic) recheck() {
	switch {
	case t.closed:
	case t.repairing:
		t.again = true // what is being read may be older
	default:
		t.repair()
	}
}

// repair reads what lies between last and what was heard of, and sends it on. On the shard; the reading is not.
func (t *topic) repair() {
	t.repairing = true
	t.space.hub.counts.repairs.Inc()
	t.space.hub.task(func() {
		for {
			heard, msgs, more, err := t.missing()
			if err != nil {
				t.space.hub.log.Warn("reading missed messages failed; will try again", "subject", t.addr.Subject(), "err", err)
				if !t.space.pause() {
					return
				}
				continue
			}
			again := make(chan bool, 1)
			if !t.shard.do(func() { again <- t.repaired(heard, msgs, more) }) || !<-again {
				return
			}
		}
	})
}

// missing asks the shard how far the topic is and reads on from there.
func (t *topic) missing() (heard uint64, msgs []broker.Stored, more bool, err error) {
	type state struct{ last, heard uint64 }
	now := make(chan state, 1)
	look := func() {
		t.again = false
		now <- state{t.last, t.heard}
	}
	if !t.shard.do(look) {
		return 0, nil, false, nil
	}
	var s state
	select {
	case s = <-now:
	case <-t.shard.done:
		return 0, nil, false, nil
	}
	msgs, more, err = t.space.conn.Read(t.space.hub.life, broker.ReadRequest{
		Stream: t.addr.stream(), Subject: t.addr.Subject(), FromSeq: s.last + 1, Limit: batchMessages, MaxBytes: replayBytes,
	})
	return s.heard, msgs, more, err
}

// repaired takes what a repair has read and reports whether it has to go on. On the shard.
func (t *topic) repaired(heard uint64, msgs []broker.Stored, more bool) (again bool) {
	if t.closed {
		return false
	}
	for _, m := range msgs {
		if m.Seq > t.last {
			t.add(m)
		}
	}
	t.shard.flush()
	if more {
		return true
	}
	// What was heard of before the read and is not in the stream has been dropped by retention.
	t.last = max(t.last, heard)
	t.repairing = t.heard > t.last || t.again
	return t.repairing
}

// ring holds the newest frames of a topic: every message behind base is in it.
type ring struct {
	base    uint64
	entries []entry
	bytes   int
}

func (r *ring) add(e entry, cfg Config) {
	r.entries = append(r.entries, e)
	r.bytes += len(e.frame)
	drop := 0
	for len(r.entries)-drop > cfg.RingMessages || r.bytes > cfg.RingBytes {
		r.base = r.entries[drop].seq
		r.bytes -= len(r.entries[drop].frame)
		drop++
	}
	if drop > 0 {
		r.entries = slices.Delete(r.entries, 0, drop)
	}
}

// after returns the entries behind seq, and whether the ring still has all of them.
func (r *ring) after(seq uint64) ([]entry, bool) {
	if seq < r.base {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(r.entries, seq+1, func(e entry, seq uint64) int {
		if e.seq < seq {
			return -1
		}
		return 1
	})
	return r.entries[i:], true
}
