package channels

import (
	"context"
	"encoding/json"
	"strings"

	"parley/broker"
)

// MaxHistory is how many messages one look into the history gives at most.
const MaxHistory = 100

// History is a piece of an address's past, oldest first.
type History struct {
	Messages []json.RawMessage // as they are delivered
	Last     uint64            // the sequence to go on from; that of the request when there are no messages
	More     bool              // there are more behind Last
	Gap      *Gap              // what retention has dropped of the range that was asked for
}

// History reads up to limit messages behind since. Without one it reads the newest.
func (s *Space) History(ctx context.Context, to Address, since Since, limit int) (h History, err error) {
	if err := to.check(); err != nil {
		return h, err
	}
	limit = min(max(limit, 1), MaxHistory)
	p := s.policy(to)
	switch {
	case p != nil && p.Ephemeral:
		return History{Last: since.Seq}, nil // what services have published waits to be removed
	case p != nil && p.Messages > 0:
		limit = int(min(int64(limit), p.Messages))
	}
	if !since.Set {
		return s.newest(ctx, to, limit)
	}
	first, last, err := s.conn.Bounds(ctx, to.stream())
	if err != nil {
		return h, err
	}
	gap, ok, err := s.missing(ctx, to, since, first, last)
	if err != nil {
		return h, err
	}
	if ok {
		h.Gap = &gap
		since.Seq = min(gap.To, last)
	}
	h.Last = since.Seq
	req := broker.ReadRequest{Stream: to.stream(), Subject: to.Subject(), FromTime: since.Time, Limit: limit, MaxBytes: replayBytes}
	if since.Time.IsZero() {
		req.FromSeq = since.Seq + 1
	}
	msgs, more, err := s.conn.Read(ctx, req)
	if err != nil {
		return h, err
	}
	h.More = more
	return h.with(to, msgs), nil
}

func (h History) with(to Address, msgs []broker.Stored) History {
	for _, m := range msgs {
		b, _ := appendDelivery(nil, to, m)
		h.Messages = append(h.Messages, b)
		h.Last = m.Seq
	}
	return h
}

// newest reads the last messages of an address. A stream can't be read backwards, so that it looks at ranges of growing
// length before the end until it has enough.
func (s *Space) newest(ctx context.Context, to Address, limit int) (h History, err error) {
	last, err := s.conn.Last(ctx, to.stream(), to.Subject())
	if err != nil || last == 0 {
		return h, err
	}
	first, _, err := s.conn.Bounds(ctx, to.stream())
	if err != nil {
		return h, err
	}
	var msgs []broker.Stored
	for span := uint64(limit); ; span = wider(span, len(msgs), limit) {
		from := first
		if last-min(span, last) > first {
			from = last - span
		}
		if msgs, err = s.readAll(ctx, to, from, last, limit); err != nil {
			return h, err
		}
		if len(msgs) >= limit || from == first {
			break
		}
	}
	return h.with(to, msgs), nil
}

// wider returns a span that probably has limit messages, where a smaller one had some. It goes by how dense they were, once
// that says something: what is read in vain costs as much as what is wanted.
func wider(span uint64, had, limit int) uint64 {
	const most, telling = 8, 3
	if had < telling {
		return span * most
	}
	return min(span*most, span*uint64(limit)/uint64(had)*3/2)
}

// readAll reads from one sequence to another and keeps the newest limit messages.
func (s *Space) readAll(ctx context.Context, to Address, from, last uint64, limit int) (kept []broker.Stored, err error) {
	for from <= last {
		msgs, more, err := s.conn.Read(ctx, broker.ReadRequest{
			Stream: to.stream(), Subject: to.Subject(), FromSeq: from, Limit: batchMessages, MaxBytes: replayBytes,
		})
		if err != nil {
			return nil, err
		}
		kept = append(kept, msgs...)
		kept = kept[max(0, len(kept)-limit):]
		if !more || len(msgs) == 0 {
			break
		}
		from = msgs[len(msgs)-1].Seq + 1
	}
	return kept, nil
}

// ChannelInfo is a channel that holds messages.
type ChannelInfo struct {
	Name     broker.Name
	Messages uint64
}

// Channels returns the channels that hold messages, in no order. Subjects that are no channel's are left out: a service
// may publish on names that no client can subscribe to.
func (s *Space) Channels(ctx context.Context) (all []ChannelInfo, err error) {
	counts, err := s.conn.Subjects(ctx, broker.Channels, "channel.>")
	for subject, n := range counts {
		if name, ok := broker.Subject(strings.Clone(subject)).Channel(); ok {
			all = append(all, ChannelInfo{name, n})
		}
	}
	return all, err
}
