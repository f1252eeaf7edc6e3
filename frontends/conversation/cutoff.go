package conversation

import (
	"context"
	"sync"
	"time"

	"parley/broker"
	"parley/sessions"
)

// rememberFor is how long an answer is kept in mind whose client was cut off from it.
const rememberFor = 5 * time.Minute

// cutOff remembers the answers that were being given on connections that ended, so that a client which comes back after
// an answer has come to its end gets all of it, as one does that comes back before. It is this node's memory only: what
// is still running is found in the log.
type cutOff struct {
	mu      sync.Mutex
	answers map[listener]map[string]cutAnswer // guarded by mu; by session
	swept   time.Time                         // guarded by mu; when what is too old was forgotten last
}

type listener struct {
	account broker.AccountID
	user    string
}

type cutAnswer struct {
	answer string
	until  time.Time
}

func newCutOff() *cutOff { return &cutOff{answers: map[listener]map[string]cutAnswer{}} }

func listenerOf(p sessions.Principal) listener { return listener{p.Account, p.User} }

// note remembers what was being given at a place that has ended.
func (c *cutOff) note(who sessions.Principal, p *place) {
	p.mu.Lock()
	answer, gone := p.answer, p.gone
	p.mu.Unlock()
	if answer == "" || gone {
		return
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(now)
	k := listenerOf(who)
	if c.answers[k] == nil {
		c.answers[k] = map[string]cutAnswer{}
	}
	c.answers[k][p.session] = cutAnswer{answer, now.Add(rememberFor)}
}

// take returns, once, the answer in a session from which the user was cut off, "" if there is none.
func (c *cutOff) take(who sessions.Principal, session string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := listenerOf(who)
	a := c.answers[k][session]
	delete(c.answers[k], session)
	if len(c.answers[k]) == 0 {
		delete(c.answers, k)
	}
	if time.Now().After(a.until) {
		return ""
	}
	return a.answer
}

// sessions returns those in which the user was cut off from an answer.
func (c *cutOff) sessions(who sessions.Principal) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	var all []string
	for session, a := range c.answers[listenerOf(who)] {
		if now.Before(a.until) {
			all = append(all, session)
		}
	}
	return all
}

// expire forgets what is too old, now and then. mu is held.
func (c *cutOff) expire(now time.Time) {
	if now.Sub(c.swept) < rememberFor {
		return
	}
	c.swept = now
	for k, of := range c.answers {
		for session, a := range of {
			if now.After(a.until) {
				delete(of, session)
			}
		}
		if len(of) == 0 {
			delete(c.answers, k)
		}
	}
}

// CutOff returns the sessions in which the socket's user was cut off from an answer not long ago, in no order.
func (s *Socket) CutOff() []string { return s.desk.cutOff.sessions(s.principal) }

// makeGood gives the client the answer from which its user was cut off, if it has come to its end since.
func (s *Socket) makeGood(ctx context.Context, p *place) {
	missed := s.desk.cutOff.take(s.principal, p.session)
	if missed == "" {
		return
	}
	if err := s.retell(ctx, p, func(e *sessions.Event) bool { return e.ID == missed }); err != nil {
		s.desk.log.Warn("an answer could not be made good", "tenant", s.principal.Tenant, "err", err)
	}
}
