package conversation

import (
	"sync"

	"parley/sessions"
)

// place is a connection's place in a session: the session's Follower.
type place struct {
	socket    *Socket
	session   string
	following *sessions.Following // nil until Follow has returned

	mu     sync.Mutex
	enc    Encoder           // guarded by mu
	from   sessions.Snapshot // guarded by mu; where the place began, without its answer
	held   *sessions.Event   // guarded by mu; pieces of the answer that wait for the client to read
	answer string            // guarded by mu; what is being given, "" when nothing is
	run    string            // guarded by mu
	last   string            // guarded by mu; the answer that was begun last
	gone   bool              // guarded by mu; the session is lost
}

var _ sessions.Follower = (*place)(nil)

// Begin implements sessions.Follower.
func (p *place) Begin(s sessions.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from = s
	p.from.Answer = nil
	if a := s.Answer; a != nil {
		p.answer, p.last, p.run = a.ID, a.ID, a.Run
	}
	p.socket.SendFrames(p.enc.Begin(nil, s))
}

// Deliver implements sessions.Follower.
func (p *place) Deliver(e *sessions.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case sessions.Started:
		p.answer, p.last, p.run = e.ID, e.ID, e.Run
	case sessions.Ended:
		p.answer, p.run = "", ""
	case sessions.Chunk:
		if p.hold(e) {
			return
		}
	default:
	}
	p.tell(e)
}

// Lost implements sessions.Follower.
func (p *place) Lost(err error) {
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
	p.socket.lose(p)
	p.socket.client.Lost(p.session, err)
}

// frameRoom is how much a frame has beside its text, in most cases.
const frameRoom = 136

// tell sends an event, behind the pieces that were held. mu is held.
func (p *place) tell(e *sessions.Event) {
	frames := make([]byte, 0, frameRoom+len(e.Text))
	if p.held != nil {
		frames = p.enc.Event(frames, p.held)
		p.held = nil
	}
	p.socket.SendFrames(p.enc.Event(frames, e))
}

// How much may be queued for a client before the pieces of an answer are joined, and how long they may become: far below
// what cuts a slow client off.
const (
	joinFrom  = 64 << 10
	joinUntil = 64 << 10
)

// hold reports whether it has kept a piece, joined with what it has kept before, because the client does not read as fast
// as the answer comes. A frame for each would soon be more than may wait for a client. mu is held.
func (p *place) hold(e *sessions.Event) bool {
	if p.socket.conn.Backlog() < joinFrom && p.held == nil {
		return false
	}
	if p.held == nil {
		c := *e
		p.held = &c
	} else if h := p.held; h.ID == e.ID && h.Offset+len(h.Text) == e.Offset {
		h.Text += e.Text
		h.Index = e.Index
	} else {
		return false
	}
	if p.socket.conn.Backlog() < joinFrom || len(p.held.Text) > joinUntil {
		p.socket.SendFrames(p.enc.Event(nil, p.held))
		p.held = nil
	}
	return true
}
