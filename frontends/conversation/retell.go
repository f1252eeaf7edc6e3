package conversation

import (
	"context"

	"parley/sessions"
)

// howFarBack is how many messages and answers may have followed one that is told again.
const howFarBack = 20

// Repeat tells the client the answer to a message again, if it has come to its end not long ago and the client has not
// just been told: a client that says the same again has not got it.
func (s *Socket) Repeat(session, run string) error {
	s.mu.Lock()
	p := s.places[session]
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	ctx, cancel := s.Patience()
	defer cancel()
	return s.retell(ctx, p, func(e *sessions.Event) bool { return e.Run == run })
}

// retell looks for the newest answer that is wanted and tells it.
func (s *Socket) retell(ctx context.Context, p *place, wanted func(*sessions.Event) bool) error {
	page, _, err := s.desk.hub.History(ctx, s.principal, p.session, 0, howFarBack, true)
	if err != nil {
		return err
	}
	for _, e := range page {
		if e.Kind == sessions.Ended && wanted(e) {
			p.retell(e)
			return nil
		}
	}
	return nil
}

// retell sends an answer that is over like one that has been running, unless the client has just been told it, or another
// one is being given.
func (p *place) retell(e *sessions.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answer != "" || p.last == e.ID {
		return
	}
	p.last = e.ID
	again := p.from
	again.Answer = &sessions.Answer{ID: e.ID, Run: e.Run, Reply: e.Reply, Text: e.Text, Started: e.Time}
	p.socket.SendFrames(p.enc.Event(p.enc.Begin(nil, again), e))
}
