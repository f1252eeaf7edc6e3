package sessions

import (
	"context"
	"slices"

	"parley/broker"
	"parley/internal/fault"
)

// History returns messages and answers (Said and Ended) of a session in the order of the log, newest first when newest is
// set, and how many there are in all. Answers that never began have no place in it.
func (h *Hub) History(ctx context.Context, p Principal, id string, offset, limit int, newest bool) (page []*Event, total int, err error) {
	s, sid, err := h.enter(ctx, p, id)
	if err != nil {
		return nil, 0, err
	}
	info, err := s.info(ctx, sid)
	if err != nil {
		return nil, 0, err
	}
	if !p.mayUse(info) {
		return nil, 0, noSession(id)
	}
	if newest {
		if page, total, err = s.newest(ctx, sid, offset, limit); page != nil || err != nil {
			return page, total, err
		}
	}
	var all []*Event
	err = s.read(ctx, sid, 1, func(e *Event, _ uint64) bool {
		if e.isMessage() {
			all = append(all, e)
		}
		return true
	})
	if err != nil {
		return nil, 0, err
	}
	if newest {
		slices.Reverse(all)
	}
	first := min(max(offset, 0), len(all))
	return all[first:min(first+max(limit, 0), len(all))], len(all), nil
}

// newest returns what History does when it is among what the log's state points to, which is all that most chats show of
// it, or nil: the log holds far more chunks than messages.
func (s *space) newest(ctx context.Context, id broker.Token, offset, limit int) (page []*Event, total int, err error) {
	f, err := s.load(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	recent := f.state.Recent
	if offset < 0 || limit < 1 || offset+min(limit, f.state.Messages-offset) > len(recent) || offset >= len(recent) {
		return nil, 0, nil
	}
	for i := len(recent) - 1 - offset; i >= 0 && len(page) < limit; i-- {
		e, err := s.get(ctx, recent[i])
		if fault.CodeOf(err) == fault.NotFound {
			return nil, 0, nil // older than what is kept: only a walk tells how many are left
		}
		if err != nil {
			return nil, 0, err
		}
		page = append(page, e)
	}
	return page, f.state.Messages, nil
}

// isMessage reports whether the event is something that was said in the conversation.
func (e *Event) isMessage() bool { return e.Kind == Said || e.Kind == Ended && e.ID != "" }

// Events calls f for all that a session's log holds from an index on, until it returns false. Chunks of answers that
// ended long ago are no longer there.
func (h *Hub) Events(ctx context.Context, p Principal, id string, from uint64, f func(*Event) bool) error {
	s, sid, err := h.enter(ctx, p, id)
	if err != nil {
		return err
	}
	info, err := s.info(ctx, sid)
	if err != nil {
		return err
	}
	if !p.mayUse(info) {
		return noSession(id)
	}
	return s.read(ctx, broker.Token(id), 1, func(e *Event, _ uint64) bool { return e.Index < from || f(e) })
}
