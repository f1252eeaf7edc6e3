package sessions

import (
	"context"

	"parley/broker"
	"parley/internal/fault"
)

// readAtOnce is how many events one request to the store asks for.
const readAtOnce = 256

// load reads what a log says of the present: its newest event and, when an answer is running, all since that began.
func (s *space) load(ctx context.Context, id broker.Token) (f fold, err error) {
	last, err := s.conn.Last(ctx, broker.Sessions, broker.SessionLog(id))
	if err != nil || last == 0 {
		return fold{state: State{Mode: ByAI}}, err
	}
	e, err := s.get(ctx, last)
	if err != nil {
		return f, err
	}
	if e.foreign() {
		f.state.Mode = ByAI
		err = s.read(ctx, id, 1, func(e *Event, seq uint64) bool { f.apply(e, seq); return true })
		f.seq = max(f.seq, last)
		return f, err
	}
	start := e.Start
	if e.State != nil && e.State.Answer != nil {
		start = e.State.Answer.Seq
	}
	if start == 0 {
		f.apply(e, last)
		return f, nil
	}
	return f, s.read(ctx, id, start, func(e *Event, seq uint64) bool { f.apply(e, seq); return true })
}

func (s *space) get(ctx context.Context, seq uint64) (*Event, error) {
	msg, err := s.conn.Get(ctx, broker.Sessions, seq)
	if err != nil {
		return nil, err
	}
	return decode(msg.Data)
}

// read calls f for the events from a place in the stream on, until it returns false or there are no more.
func (s *space) read(ctx context.Context, id broker.Token, from uint64, f func(e *Event, seq uint64) bool) error {
	for {
		msgs, more, err := s.conn.Read(ctx, broker.ReadRequest{
			Stream: broker.Sessions, Subject: broker.SessionLog(id), FromSeq: from, Limit: readAtOnce,
		})
		if err != nil {
			return err
		}
		for _, m := range msgs {
			e, err := decode(m.Data)
			if err != nil {
				return err
			}
			from = m.Seq + 1
			if !e.foreign() && !f(e, m.Seq) {
				return nil
			}
		}
		if !more {
			return nil
		}
	}
}

func noSession(id string) error {
	return fault.New(fault.NotFound, "There is no session %q.", id)
}
