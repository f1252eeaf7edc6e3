package meet

import (
	"context"
	"slices"
	"sync"
	"time"

	"parley/channels"
	"parley/frontends/conversation"
	"parley/frontends/door"
	"parley/internal/fault"
	"parley/internal/rawjson"
	"parley/rooms"
	"parley/tenants"
)

// client is one socket of this dialect.
type client struct {
	conversation.Entrance
	dialect *Dialect

	mu    sync.Mutex
	seats []*rooms.Seat // guarded by mu; few, and nearly always one
	gone  bool          // guarded by mu; the socket has ended
}

var (
	_ conversation.Client = (*client)(nil)
	_ rooms.Listener      = (*client)(nil)
)

func (d *Dialect) newClient(token string, refused error) *client {
	return &client{dialect: d, Entrance: conversation.Entrance{
		Within: d.cfg.AuthWithin, Token: token, Refused: refused, Verify: d.verify,
		Turned: func(err error) []byte { return encode(errorFrame(time.Now(), err)) },
	}}
}

// verify returns what a token allows, if it opens such a connection: room tokens do, too.
func (d *Dialect) verify(ctx context.Context, token string) (*tenants.Grant, error) {
	g, err := d.registry.Verify(ctx, token)
	if err == nil && !g.Guest {
		err = g.CheckAccess()
	}
	return g, err
}

// Handle implements conversation.Client.
func (c *client) Handle(text []byte) error {
	var room [usualFields]rawjson.Member
	req, err := decode(room[:0], text)
	if err != nil {
		return err
	}
	if req.verb == "ping" {
		c.Socket().Send(encode(pong{"pong", channels.FormatTime(time.Now())}))
		return nil
	}
	in, err := c.Pass(req.verb, req.fields)
	if in && req.verb == "signal" {
		return c.signal(req)
	}
	ctx, cancel := c.Socket().Patience()
	defer cancel()
	switch {
	case !in && err == nil:
		c.retreat(ctx)
	case in:
		err = c.carryOut(ctx, req)
	}
	return err
}

// carryOut does what a frame of somebody known wants that may wait for the store.
func (c *client) carryOut(ctx context.Context, req request) error {
	switch req.verb {
	case "join":
		return c.join(ctx, req)
	case "leave":
		return c.leave(ctx, req)
	}
	return fault.New(fault.UnknownType, "There is no message type %.64q.", req.verb)
}

// retreat leaves the rooms that the token does not allow any more.
func (c *client) retreat(ctx context.Context) {
	c.mu.Lock()
	all := slices.Clone(c.seats)
	c.mu.Unlock()
	for _, s := range all {
		if c.Grant().MayJoin(s.Room()) {
			continue
		}
		if err := s.Leave(ctx); err != nil {
			s.Drop()
		}
	}
}

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
	case !c.Grant().MayJoin(room):
		return fault.New(fault.PermissionDenied, "The token is not for room %.64q.", room).
			WithFix("Get a token whose claim rooms names it.")
	}
	_, err = c.dialect.hub.Join(ctx, principal(c.Grant()), room, entry, c)
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
	c.Socket().SendFrames(frames)
	if _, left := c.seatIn(""); removed && left == 0 {
		c.Socket().Close(door.Kicked, "removed from the room")
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
	c.Entrance.Close()
	c.mu.Lock()
	c.gone = true
	all := c.seats
	c.seats = nil
	c.mu.Unlock()
	for _, s := range all {
		s.Drop()
	}
}
