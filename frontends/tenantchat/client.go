package tenantchat

import (
	"time"

	"parley/channels"
	"parley/frontends/conversation"
	"parley/frontends/rest"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/sessions"
	"parley/tenants"
)

// client is one socket of a chat.
type client struct {
	dialect *Dialect
	claim   claim
	socket  *conversation.Socket
	grant   *tenants.Grant // nil until the client is let in
}

var _ conversation.Client = (*client)(nil)

// Open implements conversation.Client: it lets the client in, or says why not.
func (c *client) Open(s *conversation.Socket) error {
	c.socket = s
	err := c.enter()
	if err == nil {
		return nil
	}
	c.send(errorEvent(time.Now(), err))
	switch fault.CodeOf(err) {
	case fault.Internal, fault.Unavailable, fault.OutcomeUnknown, fault.Draining:
		return err // not the client's fault: it may try again
	default:
		s.Close(ws.PolicyViolation, fault.Message(err))
		return nil
	}
}

func (c *client) enter() error {
	ctx, cancel := c.socket.Patience()
	defer cancel()
	g, who, err := c.dialect.prove(ctx, c.claim)
	if err != nil {
		return err
	}
	hub := c.dialect.desk.Hub()
	if _, err := hub.Info(ctx, who, c.claim.chat); err != nil {
		return absent(c.claim.chat, err)
	}
	if err := c.socket.Admit(g, who); err != nil {
		return err
	}
	c.grant = g
	known, err := hub.Known(ctx, who)
	if err != nil {
		return err
	}
	c.greet(known)
	return absent(c.claim.chat, c.socket.Follow(c.claim.chat, &encoder{}))
}

// greet sends what comes first on every connection.
func (c *client) greet(known bool) {
	now := channels.FormatTime(time.Now())
	c.socket.Greet(encode(struct {
		Event     string     `json:"event_type"`
		Timestamp string     `json:"timestamp"`
		User      string     `json:"user_id"`
		Chat      string     `json:"chat_id"`
		Tenant    tenants.ID `json:"tenant_id"`
	}{"connection_established", now, c.claim.user, c.claim.chat, c.grant.Tenant}))
	if known {
		return
	}
	c.socket.Greet(encode(struct {
		Event     string `json:"event_type"`
		Timestamp string `json:"timestamp"`
		User      string `json:"user_id"`
	}{"user_created", now, c.claim.user}))
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
			Event     string `json:"event_type"`
			Timestamp string `json:"timestamp"`
		}{"pong", channels.FormatTime(time.Now())})
		return nil
	}
	if req.verb == "auth" {
		return c.renew(req.token)
	}
	if err := rest.Need(c.grant, tenants.WriteChats); err != nil {
		return err
	}
	ctx, cancel := c.socket.Patience()
	defer cancel()
	hub, who := c.dialect.desk.Hub(), c.socket.Principal()
	switch req.verb {
	case "stop":
		return hub.Stop(ctx, who, c.claim.chat, "")
	case "human-escalation":
		return hub.Escalate(ctx, who, c.claim.chat, req.reason)
	}
	req.said.Origin = c.socket.Origin()
	_, duplicate, err := hub.Say(ctx, who, c.claim.chat, req.said)
	if err == nil && duplicate {
		c.repeat(req.said)
	}
	return absent(c.claim.chat, err)
}

// renew puts the connection under a newer token of its user, or another API key.
func (c *client) renew(credential string) error {
	ctx, cancel := c.socket.Patience()
	defer cancel()
	g, err := c.socket.Renew(ctx, credential)
	if err != nil {
		return err
	}
	c.grant = g
	c.socket.Send(expiryEvent("auth_confirmed", g.Expires))
	return nil
}

// Expiring implements conversation.Client.
func (c *client) Expiring(at time.Time) []byte { return expiryEvent("token_expiring", at) }

// expiryEvent is about the time until which a credential is good; there is none for an API key without an end.
func expiryEvent(event string, expires time.Time) []byte {
	e := struct {
		Event     string `json:"event_type"`
		Timestamp string `json:"timestamp"`
		Expires   string `json:"expires,omitzero"`
	}{Event: event, Timestamp: channels.FormatTime(time.Now())}
	if !expires.IsZero() {
		e.Expires = channels.FormatTime(expires)
	}
	return encode(e)
}

// repeat confirms a message that was sent before to whoever sends it again; nobody else hears of it.
func (c *client) repeat(u sessions.Utterance) {
	c.send(message{
		Event: "message_received", Timestamp: channels.FormatTime(time.Now()), ID: u.ID, Chat: c.claim.chat, User: c.claim.user,
		Content: u.Text, Duplicate: true,
	})
}

// Refusal implements conversation.Client.
func (c *client) Refusal(text []byte, err error) []byte {
	f := errorEvent(time.Now(), err)
	f.ID = idOf(text)
	return encode(f)
}

// Lost implements conversation.Client.
func (c *client) Lost(chat string, err error) {
	if fault.CodeOf(err) == fault.NotFound {
		err = noChat(chat, err)
		c.send(errorEvent(time.Now(), err))
		c.socket.Close(ws.PolicyViolation, "the chat was deleted")
		return
	}
	c.send(errorEvent(time.Now(), err))
	c.socket.Close(ws.TryLater, "the chat can't be followed; connect again")
}

// Close implements conversation.Client.
func (c *client) Close() {}
