package channels

import (
	"context"
	"sync/atomic"

	"parley/acks"
	"parley/broker"
)

// feed gives the topics of a tenant what this node has stored, in place of the streams' live copies as long as there are
// none. It implements acks.Follower.
type feed struct {
	space    *Space
	channels passage
	inboxes  passage
	left     []bool // by shard: something was left with it since the last Pause
}

// passage is how far a stream has come by the sequences that the feed was told.
type passage struct {
	last    uint64        // the newest one
	foreign atomic.Uint64 // the newest one up to it that the feed was not told; as open finds the stream, its newest one
}

// openFeed has the space feed its topics, unless the streams make copies. Nothing is published before it returns.
func (s *Space) openFeed(ctx context.Context) error {
	if s.conn.Copied(broker.Channels) && s.conn.Copied(broker.Inboxes) {
		return nil
	}
	f := &feed{space: s, left: make([]bool, len(s.lanes))}
	for _, stream := range [...]broker.Stream{broker.Channels, broker.Inboxes} {
		_, last, err := s.conn.Bounds(ctx, stream)
		if err != nil {
			return err
		}
		f.of(stream).last = last
		f.of(stream).foreign.Store(last)
	}
	s.feed = f
	return nil
}

// startFeed has a topic take what is fed, and returns up to where it may not have been told what is in the stream.
func (s *Space) startFeed(t *topic) (untold uint64) {
	if s.feed == nil {
		return 0
	}
	s.mu.Lock()
	t.fed = true
	s.mu.Unlock()
	return s.feed.of(t.addr.stream()).foreign.Load()
}

// of returns the passage of a stream.
func (f *feed) of(s broker.Stream) *passage {
	if s == broker.Inboxes {
		return &f.inboxes
	}
	return &f.channels
}

// advance takes the next sequence into account, and returns the newest one before it that the feed was not told.
func (p *passage) advance(seq uint64) (foreign uint64) {
	if seq != p.last+1 {
		p.foreign.Store(seq - 1)
	}
	p.last = seq
	return p.foreign.Load()
}

// Stored implements acks.Follower.
func (f *feed) Stored(m acks.Stored) {
	t, stream := f.space.fedTopic(m.Subject)
	foreign := f.of(stream).advance(m.Seq)
	if t == nil || f.space.conn.Copied(stream) {
		return // who opens it will read the message back, and so will all topics that are open when copies begin
	}
	c := liveCopy{topic: t, seq: m.Seq, foreign: max(foreign, t.unfed), data: len(m.Data)}
	if shard := t.shard.number; f.space.lanes[shard].leave(c, nil, nil, m.Data) {
		f.left[shard] = true
	} else {
		t.unfed = m.Seq
	}
}

// Pause implements acks.Follower.
func (f *feed) Pause() {
	for i, left := range f.left {
		if left {
			f.left[i] = false
			f.space.lanes[i].Pause()
		}
	}
}

// Lost implements acks.Follower.
func (f *feed) Lost() { f.space.recheck() }

// fedTopic returns the topic of a subject if it is open and takes what is fed, else nil, and the subject's stream.
func (s *Space) fedTopic(subject broker.Subject) (t *topic, stream broker.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t = s.topics[subject]; t != nil && t.fed {
		return t, t.addr.stream()
	}
	return nil, subject.MessageStream()
}
