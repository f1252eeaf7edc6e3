package channels

import (
	"parley/broker"
)

// replay sends what the store holds behind s.next until it has caught up with the topic, then lets the shard admit s.
// Between two pieces it waits for the socket, so that a long history costs no more memory than a short one. A store that
// can't be read must not leave the client with a hole: the replay then tries again from where it is.
func (s *Subscription) replay() {
	space := s.topic.space
	for {
		err := s.readOn()
		if err == nil || s.dead || s.ctx.Err() != nil || space.hub.life.Err() != nil {
			break
		}
		space.hub.log.Warn("replay failed; will try again", "subject", s.topic.addr.Subject(), "err", err)
		if !space.pause() {
			break
		}
	}
	s.topic.shard.do(s.replayed)
}

func (s *Subscription) readOn() error {
	readers := s.topic.space.hub.readers
	if err := readers.Acquire(s.ctx, 1); err != nil {
		return err
	}
	defer readers.Release(1)
	if err := s.tellGap(); err != nil {
		return err
	}
	for more := true; more; {
		var err error
		if more, err = s.replayPiece(); err != nil {
			return err
		}
	}
	return nil
}

// tellGap tells the sink what the store can't give any more, and moves next behind it.
func (s *Subscription) tellGap() error {
	if !s.next.Set {
		return nil
	}
	first, last, err := s.topic.space.conn.Bounds(s.ctx, s.topic.addr.stream())
	if err != nil {
		return err
	}
	gap, ok, err := s.topic.space.missing(s.ctx, s.topic.addr, s.next, first, last)
	if err != nil {
		return err
	}
	came := fromStore
	if ok {
		came = withGap
		s.sink.Gap(s.topic.addr, gap)
		s.next.Seq = min(gap.To, last)
	}
	s.next.Set = false
	s.topic.space.hub.counts.resumes.Inc(came)
	return nil
}

func (s *Subscription) replayPiece() (more bool, err error) {
	t := s.topic
	msgs, more, err := t.space.conn.Read(s.ctx, broker.ReadRequest{
		Stream: t.addr.stream(), Subject: t.addr.Subject(),
		FromSeq: s.from(), FromTime: s.next.Time, Limit: batchMessages, MaxBytes: replayBytes,
	})
	if err != nil {
		return false, err
	}
	t.space.hub.counts.delivered.Add(uint64(s.deliver(t.frames(msgs))))
	if s.dead {
		return false, nil
	}
	if len(msgs) == 0 && !s.next.Time.IsZero() {
		s.next = Since{Seq: s.place} // nothing since then: from where the subscription was made
	}
	return more, s.sink.AwaitBacklog(s.ctx, replayBytes)
}

// from is the first sequence to read, 0 to read by time.
func (s *Subscription) from() uint64 {
	if s.next.Time.IsZero() {
		return s.next.Seq + 1
	}
	return 0
}

// frames encodes stored messages.
func (t *topic) frames(msgs []broker.Stored) (batch []byte, entries []entry) {
	var scratch []byte
	for _, m := range msgs {
		var sender broker.Token
		scratch, sender = appendDelivery(scratch[:0], t.addr, m)
		start := len(batch)
		batch = t.space.hub.cfg.Frame(batch, scratch)
		entries = append(entries, entry{m.Seq, sender, batch[start:]})
	}
	rebase(entries, batch)
	return batch, entries
}
