package conversation

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"parley/frontends/door"
	"parley/frontends/rest"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/trace"
	"parley/quota"
	"parley/sessions"
	"parley/tenants"
)

// Socket is one client's connection. Its methods are for the Client's own goroutine, except Send, SendFrames, Close and
// Running, which may be called by any.
type Socket struct {
	desk    *Desk
	client  Client
	dialect *quota.Dialect
	address netip.Addr
	seat    *door.Seat // the visitor's, once there is one
	meter   quota.Meter
	origin  string
	conn    *ws.Conn
	guest   bool          // the seat is that of a stranger
	visitor *door.Visitor // nil until Admit
	warned  bool          // the client wants to know before its token expires

	principal sessions.Principal
	key       bool // it came with an API key
	forRooms  bool // it came with a room token

	handshake string // the traceparent of the handshake, "" when it had none
	parent    string // that of the frame that is being handled, or else the handshake's

	mu     sync.Mutex
	places map[string]*place // guarded by mu; by session
	lost   []*place          // guarded by mu; places in sessions that are gone, still to be closed
}

// Admit lets the user in whom a grant proves. It has to be called once, before Follow. It returns fault.PermissionDenied for
// a page of an origin that the tenant does not allow and fault.LimitExceeded for one connection too many, which are not let
// in.
func (s *Socket) Admit(g *tenants.Grant, p sessions.Principal) error {
	if err := s.desk.door.Open(g.Tenant, s.conn.Origin()); err != nil {
		return err
	}
	if s.seat == nil || s.guest {
		seat, err := s.desk.door.Reserve(g.Tenant, s.dialect, p.User, s.address)
		if err != nil {
			return err
		}
		if s.guest {
			s.seat.Leave()
		}
		s.seat, s.guest = seat, false
		s.meter.Become(seat.Tenant())
	}
	s.principal, s.key, s.forRooms = p, g.APIKey != "", g.Guest
	pass := door.Pass{Grant: g, Who: p.User, Seat: s.seat}
	if s.warned {
		pass.Expiring = func(at time.Time) { s.Send(s.client.Expiring(at)) }
	}
	s.visitor = s.desk.door.Admit(s.conn, pass)
	return nil
}

// Wait lets a client stay for a while that has yet to say who it is, unless too many such from its address wait already:
// then the error is fault.LimitExceeded.
func (s *Socket) Wait() (err error) {
	if s.seat, err = s.desk.door.ReserveStranger(s.dialect, s.address); err == nil {
		s.guest = true
	}
	return err
}

// Renew lets the connection go on under another token of its user, or another API key of its tenant if it came with one.
// Errors are those of the Verifier, and fault.AuthFailed for what is somebody else's.
func (s *Socket) Renew(ctx context.Context, credential string) (*tenants.Grant, error) {
	var g *tenants.Grant
	var err error
	if tenants.IsAPIKey(credential) {
		g, err = s.desk.tokens.VerifyAPIKey(credential)
	} else {
		g, err = s.desk.tokens.Verify(ctx, credential)
	}
	switch {
	case err != nil:
		return nil, err
	case g.Login:
		return nil, fault.New(fault.AuthFailed, "A login token opens no connection.").WithFix("Exchange it for an access token first.")
	case g.Guest != s.forRooms || g.Account != s.principal.Account || (g.APIKey != "") != s.key || !s.key && string(g.Agent) != s.principal.User:
		return nil, fault.New(fault.AuthFailed, "The token is for somebody else.").WithFix("Open another connection.")
	}
	if err := rest.Need(g, tenants.ReadChats); err != nil && !s.forRooms {
		return nil, err
	}
	if !s.key {
		s.principal.Claims = g.Claims
	}
	s.visitor.Renew(g)
	return g, nil
}

// Warned reports whether the client has asked to be told before its token expires.
func (s *Socket) Warned() bool { return s.warned }

// Principal returns whom Admit has let in, with the claims of the latest token; the zero value before.
func (s *Socket) Principal() sessions.Principal { return s.principal }

// Origin names this connection among all: see sessions.Utterance.
func (s *Socket) Origin() string { return s.origin }

// Patience returns a context for what one frame may wait for.
func (s *Socket) Patience() (context.Context, context.CancelFunc) {
	ctx, cancel := s.desk.Patience()
	return trace.WithParent(ctx, s.parent), cancel
}

// Send sends one frame. A socket that takes no more ends by itself.
func (s *Socket) Send(payload []byte) { s.SendFrames(ws.AppendText(nil, payload)) }

// Greet is Send for a frame that comes before those of the session that is followed next. It goes out when Follow returns:
// whoever sees it misses nothing of what is said in the session from then on.
func (s *Socket) Greet(payload []byte) { _ = s.conn.Queue(ws.AppendText(nil, payload)) }

// SendFrames sends what an Encoder wrote, which may be nothing. frames must not be changed any more.
func (s *Socket) SendFrames(frames []byte) {
	if len(frames) > 0 {
		_ = s.conn.Send(frames)
	}
}

// Close ends the connection. The first end counts.
func (s *Socket) Close(code ws.Code, reason string) { s.conn.Close(code, reason) }

// Follow has enc tell the client what happens in a session, beginning with the answer that is running or that was cut off
// when the same user's connection ended. Following twice changes nothing. Errors are fault.LimitExceeded and those of
// sessions.Hub.Follow.
func (s *Socket) Follow(session string, enc Encoder) error {
	s.mu.Lock()
	if s.places[session] != nil {
		s.mu.Unlock()
		return nil
	}
	if err := s.meter.MaySubscribe(len(s.places), "A connection follows at most %d sessions"); err != nil {
		s.mu.Unlock()
		return err
	}
	p := &place{socket: s, session: session, enc: enc}
	s.places[session] = p
	s.mu.Unlock()
	ctx, cancel := s.Patience()
	defer cancel()
	following, err := s.desk.hub.Follow(ctx, s.principal, session, p)
	s.conn.Flush()
	if err != nil {
		s.forget(p)
		return err
	}
	p.following = following
	s.makeGood(ctx, p)
	return nil
}

// Follows reports whether the connection follows a session.
func (s *Socket) Follows(session string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.places[session] != nil
}

// Unfollow ends what Follow began, if it did.
func (s *Socket) Unfollow(session string) {
	s.mu.Lock()
	p := s.places[session]
	delete(s.places, session)
	s.mu.Unlock()
	if p != nil && p.following != nil {
		p.following.Close()
	}
}

// Following returns the sessions that the connection follows, in the order of their ids.
func (s *Socket) Following() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.places))
}

// Running returns the answer that is being given in a session, by its id and by the message that it answers; both are ""
// when none is, or the session is not followed.
func (s *Socket) Running(session string) (answer, run string) {
	s.mu.Lock()
	p := s.places[session]
	s.mu.Unlock()
	if p == nil {
		return "", ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answer, p.run
}

// forget removes a place that was not to be had.
func (s *Socket) forget(p *place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.places, p.session)
}

// lose removes a place in a session that is gone.
func (s *Socket) lose(p *place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places[p.session] == p {
		delete(s.places, p.session)
		s.lost = append(s.lost, p)
	}
}

// leave gives back what the connection holds.
func (s *Socket) leave() {
	s.mu.Lock()
	all := append(s.lost, slices.Collect(maps.Values(s.places))...)
	s.lost, s.places = nil, map[string]*place{}
	s.mu.Unlock()
	for _, p := range all {
		if p.following != nil {
			p.following.Close()
			s.desk.cutOff.note(s.principal, p)
		}
	}
	switch {
	case s.visitor != nil:
		s.visitor.Leave()
	case s.seat != nil:
		s.seat.Leave()
	}
}
