package channels

import (
	"context"
	"strconv"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

// Since says from where on messages are wanted: behind a sequence, or from a time on. The zero value means from now on.
type Since struct {
	Set  bool
	Seq  uint64    // messages with a greater sequence
	Time time.Time // messages stored at or after it, when it is not zero
}

// ParseSince reads a sequence or an RFC 3339 time, as clients write them.
func ParseSince(s string) (Since, error) {
	if seq, err := strconv.ParseUint(s, 10, 63); err == nil {
		return Since{Set: true, Seq: seq}, nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil || at.Year() < 1970 || at.Year() > 9998 {
		return Since{}, fault.New(fault.InvalidFormat, "since is a sequence number or an RFC 3339 time.")
	}
	return Since{Set: true, Time: at}, nil
}

// Gap is a range of sequences, both ends included, in which messages may be missing.
type Gap struct{ From, To uint64 }

// gap returns what of the range behind s the stream, which holds first to last, can't give any more. A position ahead
// of the stream belongs to a store that is gone: everything it refers to is missing.
func (s Since) gap(first, last uint64) (Gap, bool) {
	switch {
	case !s.Set || !s.Time.IsZero():
		return Gap{}, false
	case s.Seq > last:
		return Gap{last + 1, s.Seq}, true
	case s.Seq+1 < first:
		return Gap{s.Seq + 1, first - 1}, true
	}
	return Gap{}, false
}

// missing returns what of the range behind since can't be read any more of an address whose stream holds first to last. Beside
// what is dropped at the stream's beginning, policies and purges take messages of single channels out of its middle: where
// the message is gone up to which a client has got, some behind it may be gone as well.
func (s *Space) missing(ctx context.Context, of Address, since Since, first, last uint64) (Gap, bool, error) {
	gap, ok := since.gap(first, last)
	if ok || !since.Set || !since.Time.IsZero() || since.Seq < first || of.Agent != "" {
		return gap, ok, nil
	}
	if _, err := s.conn.Get(ctx, of.stream(), since.Seq); fault.CodeOf(err) != fault.NotFound {
		return Gap{}, false, err
	}
	next, _, err := s.conn.Read(ctx, broker.ReadRequest{Stream: of.stream(), Subject: of.Subject(), FromSeq: since.Seq + 1, Limit: 1, MaxBytes: 1})
	if err != nil {
		return Gap{}, false, err
	}
	if len(next) > 0 {
		last = next[0].Seq - 1
	}
	return Gap{since.Seq + 1, last}, last > since.Seq, nil
}
