package channels

import (
	"bytes"
	"context"
	"slices"

	"parley/broker"
)

// Sink is a socket that a Subscription delivers to. Send takes whole frames that the socket may share with others and
// never changes; it must not block, and an error ends the delivery. AwaitBacklog waits until at most n bytes are
// unsent; only replays call it. Gap says that messages may be missing.
type Sink interface {
	Send(frames []byte) error
	AwaitBacklog(ctx context.Context, n int) error
	Gap(Address, Gap)
}

// replayBytes is how much a replay reads at once, and how much of it may be unsent before it reads on.
const replayBytes = 256 << 10

// SubscribeOptions say what a Subscription leaves out.
type SubscribeOptions struct {
	Agent broker.Token // whose socket it is
	Quiet bool         // leave out what Agent itself has sent
}

// Subscription is one socket's place in one address. It is made with Space.Subscribe, which notes the place, starts with
// Start and ends with Close.
type Subscription struct {
	topic *topic
	opts  SubscribeOptions
	sink  Sink
	place uint64 // the newest sequence when it was made

	// Owned by the shard, and by the replay while replaying is set. ctx is the replay's, and there only during one.
	ctx   context.Context
	next  Since // what it wants next
	dead  bool  // the sink has refused
	marks marks

	// Owned by the shard.
	replaying bool
	cancel    context.CancelFunc // ends the replay
	closing   bool               // Close was called
}

// Place returns the newest sequence of the address when the subscription was made: without a Since, delivery starts
// behind it.
func (s *Subscription) Place() uint64 { return s.place }

// Start begins delivery to sink, behind since if that is set, and returns at once. It may be called once.
func (s *Subscription) Start(sink Sink, since Since) {
	s.sink, s.next = sink, since
	if !since.Set {
		s.next = Since{Seq: s.place} // not Set: it can't have a gap
	}
	s.topic.shard.do(s.admit)
}

// Close ends delivery. Frames that the sink has taken may still go out. For an inbox, what its socket has taken by now
// counts as delivered.
func (s *Subscription) Close() {
	s.topic.shard.do(func() {
		s.closing = true
		if s.replaying {
			s.cancel()
			s.topic.inbox.leaving++
		} else {
			s.finish()
		}
	})
	s.topic.space.leave(s.topic)
}

// finish takes s out of its topic. On the shard.
func (s *Subscription) finish() {
	t := s.topic
	t.members = slices.DeleteFunc(t.members, func(m *Subscription) bool { return m == s })
	t.taken(s)
	t.saveTaken()
}

// admit makes s a member if memory holds all that it still wants, and starts a replay from the store otherwise. On the
// shard.
func (s *Subscription) admit() {
	t := s.topic
	if s.dead || s.closing || t.closed {
		return
	}
	t.shard.flush() // the ring holds only what has been sent
	if rest, ok := s.fromMemory(); ok {
		if s.next.Set {
			t.space.hub.counts.resumes.Inc(fromMemory)
		}
		t.space.hub.counts.delivered.Add(uint64(s.deliver(join(rest), rest)))
		t.members = append(t.members, s)
		if len(s.marks) > 0 {
			t.shard.marked[t] = struct{}{}
		}
		return
	}
	s.replaying = true
	s.ctx, s.cancel = context.WithCancel(t.space.life)
	t.space.hub.task(s.replay)
}

// fromMemory returns what s has missed, if the topic still holds it. A client's position that is ahead of the topic's
// is looked up in the store first, because it may be one that the store has never reached.
func (s *Subscription) fromMemory() ([]entry, bool) {
	t := s.topic
	switch {
	case !s.next.Time.IsZero():
		return nil, false
	case s.next.Seq >= t.last && !s.next.Set:
		return nil, true
	case s.next.Seq > t.last:
		return nil, false
	}
	return t.ring.after(s.next.Seq)
}

// replayed ends a replay. On the shard.
func (s *Subscription) replayed() {
	s.replaying = false
	s.cancel()
	s.ctx, s.cancel = nil, nil
	if s.closing {
		s.finish()
		s.topic.inbox.left()
		return
	}
	s.admit()
}

func join(entries []entry) []byte {
	frames := make([][]byte, len(entries))
	for i, e := range entries {
		frames[i] = e.frame
	}
	return bytes.Join(frames, nil)
}

// deliver sends a batch that consists of the entries, and returns how many messages it has handed over. On the shard, or
// in the replay.
func (s *Subscription) deliver(batch []byte, entries []entry) (n int) {
	for len(entries) > 0 && entries[0].seq <= s.next.Seq { // a replay can be ahead of its topic
		batch, entries = batch[len(entries[0].frame):], entries[1:]
	}
	if s.dead || len(entries) == 0 {
		return 0
	}
	s.next = Since{Seq: entries[len(entries)-1].seq}
	n = len(entries)
	if s.opts.Quiet {
		if batch, n = s.others(entries); n == 0 {
			return 0
		}
	}
	if err := s.sink.Send(batch); err != nil {
		s.dead = true
		return 0
	}
	if s.topic.addr.Agent != "" {
		s.mark()
	}
	return n
}

// others joins the entries that somebody else has sent, and returns how many they are.
func (s *Subscription) others(entries []entry) (b []byte, n int) {
	for _, e := range entries {
		if e.sender != s.opts.Agent {
			b, n = append(b, e.frame...), n+1
		}
	}
	return b, n
}
