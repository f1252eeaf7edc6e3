package meet

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/channels"
	"parley/frontends/conversation"
	"parley/frontends/door"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/rawjson"
	"parley/rooms"
	"parley/sessions"
	"parley/tenants"
)

// client is one socket of this dialect.
type client struct {
	dialect *Dialect
	token   string // from the URL
	refused error  // why there is none
	socket  *conversation.Socket
	grant   *tenants.Grant // nil until it is known whose socket it is

	entered  atomic.Bool // grant is known
	deadline *time.Timer // for saying so; nil when the token was in the URL

	mu    sync.Mutex
	seats []*rooms.Seat // guarded by mu; few, and nearly always one
	gone  bool          // guarded by mu; the socket has ended
}

var (
	_ conversation.Client = (*client)(nil)
	_ rooms.Listener      = (*client)(nil)
)

// Open implements conversation.Client.
func (c *client) Open(s *conversation.Socket) error {
	c.socket = s
	switch {
	case fault.CodeOf(c.refused) == fault.AuthRequired:
		if err := s.Wait(); err != nil {
			c.turnAway(err)
			break
		}
		c.deadline = time.AfterFunc(c.dialect.cfg.AuthWithin, c.late)
	case c.refused != nil:
		c.turnAway(c.refused)
	default:
		ctx, cancel := s.Patience()
		defer cancel()
		if err := c.enter(ctx, c.token); err != nil {
			c.turnAway(err)
		}
	}
	c.token = ""
	return nil
}

// late turns away who did not say in time who he is. It runs on a goroutine of its own.
func (c *client) late() {
	if !c.entered.Load() {
		c.turnAway(fault.New(fault.AuthFailed, "No token was sent within %s", c.dialect.cfg.AuthWithin))
	}
}

// turnAway refuses the connection as a whole.
func (c *client) turnAway(err error) {
	if fault.CodeOf(err) == fault.PermissionDenied { // the document has one code for all who may not come in
		err = fault.Wrap(fault.AuthFailed, err, "%s", fault.Message(err))
	}
	c.socket.Send(encode(errorFrame(time.Now(), err)))
	c.socket.Close(ws.PolicyViolation, fault.Message(err))
}

// enter lets in whom a token proves.
func (c *client) enter(ctx context.Context, token string) error {
	g, err := c.dialect.registry.Verify(ctx, token)
	if err != nil {
		return err
	}
	if err := g.CheckAccess(); err != nil && !g.Guest {
		return err
	}
	who := sessions.Principal{Tenant: g.Tenant, Account: g.Account, User: string(g.Agent), Claims: g.Claims}
	if err := c.socket.Admit(g, who); err != nil {
		return err
	}
	c.grant = g
	c.entered.Store(true)
	return nil
}

// Handle implements conversation.Client.
func (c *client) Handle(text []byte) error {
	var room [usualFields]rawjson.Member
	req, err := decode(room[:0], text)
	if err != nil {
		return err
	}
	switch {
	case req.verb == "ping":
		c.socket.Send(encode(pong{"pong", channels.FormatTime(time.Now())}))
		return nil
	case req.verb == "auth":
		return c.authenticate(req)
	case !c.entered.Load():
		c.turnAway(fault.New(fault.AuthFailed, "The first message must be of the type auth"))
		return nil
	case req.verb == "signal":
		return c.signal(req)
	}
	ctx, cancel := c.socket.Patience()
	defer cancel()
	switch req.verb {
	case "join":
		return c.join(ctx, req)
	case "leave":
		return c.leave(ctx, req)
	}
	return fault.New(fault.UnknownType, "There is no message type %.64q.", req.verb)
}

// authenticate lets in who has not said yet who he is, and lets others stay under a newer token.
func (c *client) authenticate(req request) error {
	ctx, cancel := c.socket.Patience()
	defer cancel()
	token, err := req.fields.Required("token")
	if c.entered.Load() {
		return c.renew(ctx, token, err)
	}
	if err == nil {
		err = c.enter(ctx, token)
	}
	if err != nil {
		c.turnAway(fault.Wrap(fault.AuthFailed, err, "%s", fault.Message(err)))
		return nil
	}
	if c.deadline != nil {
		c.deadline.Stop()
	}
	return nil
}

// renew puts the connection under a newer token of its user. Only a client that has asked to be told of the end of its
// token is told of the new one.
func (c *client) renew(ctx context.Context, token string, err error) error {
	if err != nil {
		return err
	}
	g, err := c.socket.Renew(ctx, token)
	if err != nil {
		return err
	}
	c.grant = g
	c.retreat(ctx)
	if c.socket.Warned() {
		c.socket.Send(expiryFrame("auth_confirmed", g.Expires))
	}
	return nil
}

// retreat leaves the rooms that the token does not allow any more.
func (c *client) retreat(ctx context.Context) {
	c.mu.Lock()
	all := slices.Clone(c.seats)
	c.mu.Unlock()
	for _, s := range all {
		if c.grant.MayJoin(s.Room()) {
			continue
		}
		if err := s.Leave(ctx); err != nil {
			s.Drop()
		}
	}
}

// Expiring implements conversation.Client.
func (c *client) Expiring(at time.Time) []byte { return expiryFrame("token_expiring", at) }

// maxRooms is how many rooms one connection may be in.
const maxRooms = 16

// join puts the client into a room. It is answered by the notice that it is there.
func (c *client) join(ctx context.Context, req request) error {
	room, err := req.named()
	if err != nil {
		return err
	}
	entry, err := req.entry()
	if err != nil {
		return err
	}
	already, many := c.seatIn(room)
	switch {
	case already != nil:
		return fault.New(fault.AlreadyExists, "The connection is in room %q already.", room).WithFix("Leave it first.")
	case many >= maxRooms:
		return fault.New(fault.LimitExceeded, "A connection is in %d rooms at most.", maxRooms)
	case !c.grant.MayJoin(room):
		return fault.New(fault.PermissionDenied, "The token is not for room %.64q.", room).
			WithFix("Get a token whose claim rooms names it.")
	}
	_, err = c.dialect.hub.Join(ctx, principal(c.grant), room, entry, c)
	return err
}

// seat returns the client's place in a room.
func (c *client) seat(req request) (*rooms.Seat, error) {
	room, err := req.named()
	if err != nil {
		return nil, err
	}
	s, _ := c.seatIn(room)
	if s == nil {
		return nil, fault.New(fault.NotSubscribed, "The connection is not in room %.64q.", room)
	}
	return s, nil
}

// seatIn returns the client's place in a room, nil when it has none, and how many it has in all.
func (c *client) seatIn(room string) (*rooms.Seat, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.seats {
		if s.Room() == room {
			return s, len(c.seats)
		}
	}
	return nil, len(c.seats)
}

func (c *client) leave(ctx context.Context, req request) error {
	s, err := c.seat(req)
	if err != nil {
		return err
	}
	return s.Leave(ctx)
}

func (c *client) signal(req request) error {
	s, err := c.seat(req)
	if err != nil {
		return err
	}
	target, data, err := req.signal()
	if err != nil {
		return err
	}
	return noParticipant(s.Signal(target, data))
}

// Deliver implements rooms.Listener. It keeps the client's places, since somebody else may move or remove it.
func (c *client) Deliver(batch []rooms.Notice) {
	var frames []byte
	removed := false
	for i := range batch {
		n := &batch[i]
		switch {
		case n.Kind == rooms.Welcomed && !c.hold(n.Welcome.Seat):
			return
		case n.Kind == rooms.Superseded, n.Kind == rooms.Departed && n.Own:
			c.release(string(n.Room))
			removed = removed || n.Reason == rooms.Kicked
		}
		frames = appendNotice(frames, n)
	}
	c.socket.SendFrames(frames)
	if _, left := c.seatIn(""); removed && left == 0 {
		c.socket.Close(door.Kicked, "removed from the room")
	}
}

// hold keeps a place. It reports false, and gives the place up, when the socket has ended meanwhile.
func (c *client) hold(s *rooms.Seat) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		s.Drop()
		return false
	}
	c.seats = append(c.seats, s)
	return true
}

func (c *client) release(room string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seats = slices.DeleteFunc(c.seats, func(s *rooms.Seat) bool { return s.Room() == room })
}

// Refusal implements conversation.Client.
func (c *client) Refusal(text []byte, err error) []byte {
	f := errorFrame(time.Now(), err)
	f.Room, f.Target = about(text)
	return encode(f)
}

// Lost implements conversation.Client. The client follows no session.
func (c *client) Lost(string, error) {}

// Close implements conversation.Client. The client's places are kept for a while: it may come back.
func (c *client) Close() {
	if c.deadline != nil {
		c.deadline.Stop()
	}
	c.mu.Lock()
	c.gone = true
	all := c.seats
	c.seats = nil
	c.mu.Unlock()
	for _, s := range all {
		s.Drop()
	}
}
