package chat

import (
	"time"

	"parley/frontends/conversation"
	"parley/frontends/frame"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/sessions"
	"parley/tenants"
)

// client is one connection.
type client struct {
	hub       *sessions.Hub
	grant     *tenants.Grant
	principal sessions.Principal
	session   string
	socket    *conversation.Socket
}

var _ conversation.Client = (*client)(nil)

// Open implements conversation.Client.
func (c *client) Open(s *conversation.Socket) error {
	c.socket = s
	if err := s.Admit(c.grant, c.principal); err != nil {
		return err
	}
	s.Greet(connectionFrame(c.session, time.Now()))
	return s.Follow(c.session, &encoder{})
}

// Lost implements conversation.Client: the next connection finds out whether there is a session to follow.
func (c *client) Lost(_ string, err error) {
	c.socket.Close(ws.TryLater, fault.Message(err))
}

// Close implements conversation.Client.
func (c *client) Close() {}

// Handle implements conversation.Client.
func (c *client) Handle(text []byte) error {
	fields, err := frame.Read(nil, text)
	if err != nil {
		return err
	}
	kind, err := fields.Required("type")
	if err != nil {
		return err
	}
	switch kind {
	case "chat":
		return c.chat(fields)
	case "human-escalation":
		return c.escalate(fields)
	case "stop":
		return c.stop(fields)
	case "feedback":
		return c.feedback(fields, text)
	case "auth":
		return c.renew(fields)
	case "ping":
		c.socket.Send(plainFrame("pong", "", time.Now()))
		return nil
	}
	return fault.New(fault.UnknownType, "There is no message type %q.", shortened(kind))
}

// chat says what the user has typed. The answer is the encoder's affair.
func (c *client) chat(fields frame.Fields) error {
	u := sessions.Utterance{Origin: c.socket.Origin()}
	var err error
	if u.Text, err = fields.Required("content"); err != nil {
		return err
	}
	if u.ID, err = fields.MessageID("id"); err != nil {
		return err
	}
	if u.Metadata, err = fields.Object("metadata"); err != nil {
		return err
	}
	ctx, cancel := c.socket.Patience()
	defer cancel()
	_, _, err = c.hub.Say(ctx, c.socket.Principal(), c.session, u)
	return err
}

func (c *client) escalate(fields frame.Fields) error {
	reason, err := fields.Optional("reason")
	if err == nil && reason == "" {
		reason, err = fields.Optional("message")
	}
	if err != nil {
		return err
	}
	ctx, cancel := c.socket.Patience()
	defer cancel()
	if err := c.hub.Escalate(ctx, c.socket.Principal(), c.session, reason); err != nil {
		return err
	}
	c.socket.Send(plainFrame("human-escalation-response", "A human agent will contact you soon.", time.Now()))
	return nil
}

// stop ends the answer that is being given, or only the one that it names. The end of the stream is its answer.
func (c *client) stop(fields frame.Fields) error {
	named, err := fields.Optional("messageId")
	if err != nil {
		return err
	}
	answer, run := c.socket.Running(c.session)
	if named != "" && named != messageID(answer) {
		return nil // it is over already
	}
	ctx, cancel := c.socket.Patience()
	defer cancel()
	return c.hub.Stop(ctx, c.socket.Principal(), c.session, run)
}

// feedback passes on what the user thinks of an answer, all of the frame.
func (c *client) feedback(fields frame.Fields, text []byte) error {
	if _, err := fields.Required("messageId"); err != nil {
		return err
	}
	ctx, cancel := c.socket.Patience()
	defer cancel()
	if err := c.hub.Feedback(ctx, c.socket.Principal(), c.session, append([]byte(nil), text...)); err != nil {
		return err
	}
	c.socket.Send(plainFrame("feedback-confirmation", "Thank you for your feedback.", time.Now()))
	return nil
}

// renew puts the connection under a newer token of its user.
func (c *client) renew(fields frame.Fields) error {
	token, err := fields.Required("token")
	if err != nil {
		return err
	}
	ctx, cancel := c.socket.Patience()
	defer cancel()
	g, err := c.socket.Renew(ctx, token)
	if err == nil {
		c.socket.Send(expiryFrame("auth-confirmation", g.Expires, time.Now()))
	}
	return err
}

// Expiring implements conversation.Client.
func (c *client) Expiring(at time.Time) []byte { return expiryFrame("token-expiring", at, time.Now()) }

// Refusal implements conversation.Client.
func (c *client) Refusal(text []byte, err error) []byte {
	fields, _ := frame.Read(nil, text)
	id, _ := fields.MessageID("id")
	return errorFrame(id, time.Now(), fault.CodeOf(err), fault.Message(err), fault.Fix(err))
}

// maxEchoed bounds how much of what a client sent wrongly is told back to it.
const maxEchoed = 64

func shortened(s string) string {
	if len(s) <= maxEchoed {
		return s
	}
	return s[:maxEchoed] + "…"
}
