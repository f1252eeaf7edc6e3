package acks

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
)

const (
	// maxPending bounds the messages that one connection has been given and not acknowledged.
	maxPending = 256
	// prefetch is how many messages wait in this process for a connection that can take them. Small, so that several
	// connections of one place share its work evenly.
	prefetch = 16
)

// Delivery is one message that waits for an acknowledgement.
type Delivery struct {
	broker.Stored
	Redelivered int // how often it was delivered before
}

// Taker is a client's end of a Ledger. Encode lays a message out and returns the id by which the client will answer, ""
// when it is not to get this one. Send hands it over; an error leaves it to be delivered again. Both are called from one
// goroutine and must not block.
type Taker interface {
	Encode(Delivery) (id string, frame []byte)
	Send(frame []byte) error
}

// Ledger is one connection's share of a place: it takes messages from it and remembers them until the client has
// acknowledged them. What it still holds at Close is delivered again, there or elsewhere.
type Ledger struct {
	terms  Terms
	place  jetstream.Consumer
	wait   time.Duration
	taker  Taker
	taking jetstream.ConsumeContext // nil before Start
	room   chan struct{}            // one value for each message that may still be pending
	closed chan struct{}

	mu      sync.Mutex
	pending map[string][]entry // by message id, oldest first; guarded by mu
	late    []jetstream.Msg    // came when the ledger was closed already; guarded by mu
	over    bool               // nothing comes any more; guarded by mu
}

type entry struct {
	seq uint64
	msg jetstream.Msg
	due time.Time // when the place delivers it again by itself
}

// OpenLedger opens the place of the terms, which from now on misses nothing. Nothing is taken from it before Start. The caller
// closes the Ledger.
func OpenLedger(ctx context.Context, conn *broker.Conn, t Terms, taker Taker) (*Ledger, error) {
	place, err := openPlace(ctx, conn, t)
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		terms: t, place: place, wait: t.consumerConfig().AckWait, taker: taker,
		room: make(chan struct{}, maxPending), closed: make(chan struct{}), pending: map[string][]entry{},
	}
	for range maxPending {
		l.room <- struct{}{}
	}
	return l, nil
}

// Start begins to take messages for the taker. It is called once.
func (l *Ledger) Start() (err error) {
	if l.taking, err = l.place.Consume(l.take, jetstream.PullMaxMessages(prefetch)); err != nil {
		return placeFault(l.terms, err)
	}
	return nil
}

// take hands one message on, when the client has room for it.
func (l *Ledger) take(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		return // not from a stream: nothing that could be acknowledged
	}
	if !l.awaitRoom() {
		l.leave(msg)
		return
	}
	stored := broker.Stored{Subject: broker.Subject(msg.Subject()), Seq: meta.Sequence.Stream, Time: meta.Timestamp, Header: msg.Headers(), Data: msg.Data()}
	id, frame := l.taker.Encode(Delivery{stored, int(meta.NumDelivered) - 1})
	if id == "" {
		_ = msg.Ack()
		l.room <- struct{}{}
		return
	}
	l.add(id, entry{stored.Seq, msg, time.Now().Add(l.wait)}) // before the client can answer
	_ = l.taker.Send(frame)                                   // a client that is gone is followed by Close, which gives it back; at once it would come here again
}

// awaitRoom waits until another message may be pending, and reports whether the ledger is still open. What is overdue is
// the place's again and makes room.
func (l *Ledger) awaitRoom() bool {
	for {
		select {
		case <-l.closed: // whether or not there is room
			return false
		default:
		}
		select {
		case <-l.room:
			return true
		case <-l.closed:
		case <-time.After(l.wait):
			l.dropOverdue(time.Now())
		}
	}
}

func (l *Ledger) dropOverdue(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, entries := range l.pending {
		kept := slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.due.Before(now) })
		for range len(entries) - len(kept) {
			l.room <- struct{}{}
		}
		if l.pending[id] = kept; len(kept) == 0 {
			delete(l.pending, id)
		}
	}
}

// add notes a message. One that comes again takes the place of its earlier delivery.
func (l *Ledger) add(id string, e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries := l.pending[id]
	if i := slices.IndexFunc(entries, func(old entry) bool { return old.seq == e.seq }); i >= 0 {
		entries[i] = e
		l.room <- struct{}{}
		return
	}
	l.pending[id] = append(entries, e)
}

// remove takes a message out of the ledger. seq chooses between messages of the same id; 0 means the oldest.
func (l *Ledger) remove(id string, seq uint64) (jetstream.Msg, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries := l.pending[id]
	i := slices.IndexFunc(entries, func(e entry) bool { return seq == 0 || e.seq == seq })
	if i < 0 {
		return nil, false
	}
	msg := entries[i].msg
	if l.pending[id] = slices.Delete(entries, i, i+1); len(l.pending[id]) == 0 {
		delete(l.pending, id)
	}
	l.room <- struct{}{}
	return msg, true
}

// Ack ends a message: it is not delivered again. It reports whether the message was pending here.
func (l *Ledger) Ack(ctx context.Context, id string, seq uint64) (bool, error) {
	msg, ok := l.remove(id, seq)
	if !ok {
		return false, nil
	}
	// The answer of the place is awaited, so that what the client is told afterwards is true.
	if err := msg.DoubleAck(ctx); err != nil {
		return true, fault.Wrap(fault.OutcomeUnknown, err, "It is not known whether the message was acknowledged; it may come again.")
	}
	return true, nil
}

// Nack has a message delivered again after the delay. It reports whether the message was pending here.
func (l *Ledger) Nack(id string, seq uint64, delay time.Duration) (bool, error) {
	msg, ok := l.remove(id, seq)
	if !ok {
		return false, nil
	}
	if err := msg.NakWithDelay(delay); err != nil {
		return true, fault.Wrap(fault.Unavailable, err, "The message could not be given back; it will come again after its deadline.")
	}
	return true, nil
}

// leave keeps a message that nobody here will have until the place sends no more. Given back at once it would be sent here
// again, and again, until it counts as one that nobody could deal with.
func (l *Ledger) leave(msg jetstream.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		giveBack(msg)
		return
	}
	l.late = append(l.late, msg)
}

// giveBack has a message delivered again at once; a connection that fails here has it delivered again after the wait.
func giveBack(msg jetstream.Msg) { _ = msg.Nak() }

// Close ends the share: nothing more is delivered, and what is pending is given back at once.
func (l *Ledger) Close() {
	close(l.closed)
	l.end()
}

// end waits until nothing comes any more, and gives back what there is.
func (l *Ledger) end() {
	if l.taking != nil {
		l.taking.Drain() // what waits in this process still comes to take
		<-l.taking.Closed()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, entries := range l.pending {
		for _, e := range entries {
			giveBack(e.msg)
		}
	}
	for _, msg := range l.late {
		giveBack(msg)
	}
	l.pending, l.late, l.over = nil, nil, true
}
