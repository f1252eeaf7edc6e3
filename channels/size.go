package channels

import (
	"context"

	"parley/broker"
)

const (
	// pieces is into how many parts of its size a channel is divided: what is removed at once.
	pieces = 100
	// readAtOnce bounds one read of a channel that is measured, in messages and in bytes.
	readAtOnce, readBytes = 256, 1 << 20
)

// size is how much a channel holds. The store counts messages of a subject and bytes of a stream, but not the bytes of a subject:
// so every message is read once, and what is kept is the sizes of pieces of the channel.
type size struct {
	pieces []piece // oldest first
	bytes  int64   // of all of them
	last   uint64  // sequence up to which the channel was read
}

// piece is a run of messages.
type piece struct {
	first, last uint64
	messages    uint64
	bytes       int64
}

// bound removes the oldest messages of a channel, so that no more than about limit bytes are left. The newest are kept
// however long they are. A message counts with its subject, and as long as agents get it at least.
func (s *size) bound(ctx context.Context, conn *broker.Conn, subject broker.Subject, limit int64) error {
	if err := s.measure(ctx, conn, subject, limit); err != nil {
		return err
	}
	if s.bytes <= limit {
		return nil
	}
	n := 0
	for left := s.bytes; n < len(s.pieces)-1 && left > limit; n++ {
		left -= s.pieces[n].bytes
	}
	if n == 0 {
		return nil
	}
	if err := conn.Purge(ctx, broker.Channels, subject, s.pieces[n-1].last+1, 0); err != nil {
		return err
	}
	s.drop(n)
	return nil
}

// measure reads what is new, and finds out what others have removed.
func (s *size) measure(ctx context.Context, conn *broker.Conn, subject broker.Subject, limit int64) error {
	if err := s.skipGone(ctx, conn, subject); err != nil {
		return err
	}
	if err := s.read(ctx, conn, subject, limit); err != nil {
		return err
	}
	counts, err := conn.Subjects(ctx, broker.Channels, string(subject))
	if err != nil {
		return err
	}
	if n := counts[string(subject)]; s.messages() <= n {
		return nil
	}
	// Something is gone from the middle, which only happens when policies change: begin anew.
	*s = size{}
	return s.read(ctx, conn, subject, limit)
}

// skipGone forgets what was removed from the beginning.
func (s *size) skipGone(ctx context.Context, conn *broker.Conn, subject broker.Subject) error {
	if len(s.pieces) == 0 {
		return nil
	}
	oldest, _, err := conn.Read(ctx, broker.ReadRequest{Stream: broker.Channels, Subject: subject, Limit: 1})
	if err != nil {
		return err
	}
	if len(oldest) == 0 {
		s.drop(len(s.pieces))
		return nil
	}
	n := 0
	for n < len(s.pieces) && s.pieces[n].last < oldest[0].Seq {
		n++
	}
	s.drop(n)
	if len(s.pieces) == 0 || s.pieces[0].first == oldest[0].Seq {
		return nil
	}
	left := size{}
	until := s.pieces[0].last
	if err := left.readTo(ctx, conn, subject, oldest[0].Seq, until, s.pieces[0].bytes+1); err != nil {
		return err
	}
	s.bytes += left.bytes - s.pieces[0].bytes
	s.pieces = append(left.pieces, s.pieces[1:]...)
	return nil
}

// drop forgets the oldest n pieces.
func (s *size) drop(n int) {
	for _, p := range s.pieces[:n] {
		s.bytes -= p.bytes
	}
	s.pieces = append([]piece(nil), s.pieces[n:]...)
}

func (s *size) messages() (n uint64) {
	for _, p := range s.pieces {
		n += p.messages
	}
	return n
}

// read measures what is behind that which was measured before.
func (s *size) read(ctx context.Context, conn *broker.Conn, subject broker.Subject, limit int64) error {
	return s.readTo(ctx, conn, subject, s.last+1, 1<<63, max(limit/pieces, 1))
}

// readTo measures messages from one sequence to another one, in pieces of about each bytes.
func (s *size) readTo(ctx context.Context, conn *broker.Conn, subject broker.Subject, from, to uint64, each int64) error {
	for more := true; more; {
		var msgs []broker.Stored
		var err error
		msgs, more, err = conn.Read(ctx, broker.ReadRequest{
			Stream: broker.Channels, Subject: subject, FromSeq: from, Limit: readAtOnce, MaxBytes: readBytes,
		})
		if err != nil {
			return err
		}
		for _, m := range msgs {
			if m.Seq > to {
				return nil
			}
			s.add(m.Seq, int64(len(m.Subject)+len(m.Data)), each)
			from = m.Seq + 1
		}
		more = more && len(msgs) > 0
	}
	return nil
}

// add takes over one message.
func (s *size) add(seq uint64, bytes, each int64) {
	s.last, s.bytes = seq, s.bytes+bytes
	if n := len(s.pieces); n > 0 && s.pieces[n-1].bytes < each {
		p := &s.pieces[n-1]
		p.last, p.messages, p.bytes = seq, p.messages+1, p.bytes+bytes
		return
	}
	s.pieces = append(s.pieces, piece{seq, seq, 1, bytes})
}
