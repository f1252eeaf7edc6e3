package bots

import (
	"context"
	"time"

	"parley/channels"
	"parley/frontends/conversation"
	"parley/internal/fault"
	"parley/tenants"
)

// client is one socket of this dialect.
type client struct {
	conversation.Entrance
	dialect *Dialect
}

var _ conversation.Client = (*client)(nil)

func (d *Dialect) newClient(token string, refused error) *client {
	return &client{dialect: d, Entrance: conversation.Entrance{
		Within: d.cfg.AuthWithin, Token: token, Refused: refused, Verify: d.verify,
		Turned: func(err error) []byte { return encode(errorFrame(time.Now(), err)) },
	}}
}

// verify returns what a token allows, if it opens such a connection.
func (d *Dialect) verify(ctx context.Context, token string) (*tenants.Grant, error) {
	g, err := d.tokens.Verify(ctx, token)
	if err == nil {
		err = g.CheckAccess()
	}
	return g, err
}

func (c *client) send(v any) { c.Socket().Send(encode(v)) }

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
	if in, err := c.Pass(req.verb, req.fields); !in {
		return err
	}
	return c.carryOut(req)
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
