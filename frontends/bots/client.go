package bots

import (
	"context"
	"sync/atomic"
	"time"

	"parley/channels"
	"parley/frontends/conversation"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/sessions"
)

// client is one socket of this dialect.
type client struct {
	dialect *Dialect
	token   string // from the URL
	refused error  // why there is none
	socket  *conversation.Socket

	entered  atomic.Bool // it is known whose socket it is
	deadline *time.Timer // for saying so; nil when the token was in the URL
}

var _ conversation.Client = (*client)(nil)

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
	c.send(errorFrame(time.Now(), err))
	c.socket.Close(ws.PolicyViolation, fault.Message(err))
}

// enter lets in the user whom a token proves.
func (c *client) enter(ctx context.Context, token string) error {
	g, err := c.dialect.tokens.Verify(ctx, token)
	if err != nil {
		return err
	}
	if err := g.CheckAccess(); err != nil {
		return err
	}
	who := sessions.Principal{Tenant: g.Tenant, Account: g.Account, User: string(g.Agent), Claims: g.Claims}
	if err := c.socket.Admit(g, who); err != nil {
		return err
	}
	c.entered.Store(true)
	return nil
}

func (c *client) send(v any) { c.socket.Send(encode(v)) }

// Handle implements conversation.Client.
func (c *client) Handle(text []byte) error {
	req, err := decode(text)
	if err != nil {
		return err
	}
	if req.verb == "ping" {
		c.send(struct {
			Type string `json:"type"`
			Time string `json:"timestamp"`
		}{"pong", channels.FormatTime(time.Now())})
		return nil
	}
	if req.verb == "auth" {
		return c.authenticate(req)
	}
	if !c.entered.Load() {
		c.turnAway(fault.New(fault.AuthFailed, "The first message must be of the type auth"))
		return nil
	}
	return c.carryOut(req)
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

// renew puts the connection under a newer token of its user. The document has no answer to that: only a client that has
// asked to be told of the end of its token is told of the new one.
func (c *client) renew(ctx context.Context, token string, err error) error {
	if err != nil {
		return err
	}
	g, err := c.socket.Renew(ctx, token)
	if err == nil && c.socket.Warned() {
		c.socket.Send(expiryFrame("auth_confirmed", g.Expires))
	}
	return err
}

// Expiring implements conversation.Client.
func (c *client) Expiring(at time.Time) []byte { return expiryFrame("token_expiring", at) }

// expiryFrame is about the time until which a token is good.
func expiryFrame(kind string, expires time.Time) []byte {
	return encode(struct {
		Type      string `json:"type"`
		Expires   string `json:"expires"`
		Timestamp string `json:"timestamp"`
	}{kind, channels.FormatTime(expires), channels.FormatTime(time.Now())})
}

// Refusal implements conversation.Client.
func (c *client) Refusal(text []byte, err error) []byte {
	f := errorFrame(time.Now(), err)
	f.Session, f.ID = about(text)
	return encode(f)
}

// Lost implements conversation.Client.
func (c *client) Lost(session string, err error) {
	if fault.CodeOf(err) == fault.NotFound {
		c.send(closedFrame(session, "deleted"))
		return
	}
	f := errorFrame(time.Now(), cannotSubscribe(err, "The session can't be followed any more; subscribe again"))
	f.Session = session
	c.send(f)
}

// Close implements conversation.Client.
func (c *client) Close() {
	if c.deadline != nil {
		c.deadline.Stop()
	}
}
