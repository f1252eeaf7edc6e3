package assistant

import (
	"time"

	"parley/broker"
	"parley/frontends/frame"
	"parley/internal/fault"
	"parley/sessions"
)

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
	case typePong:
		c.heart.answered()
		return nil
	case typePing:
		c.socket.Send(plainFrame(typePong, "", ""))
		return nil
	case typeStop:
		return c.stop(fields)
	case typeEscalation:
		return c.escalate(fields)
	case typeFeedback:
		return c.feedback(fields, text)
	case typeAuth:
		return c.renew(fields)
	}
	bot, ok := botOf(kind)
	if !ok {
		return fault.New(fault.UnknownType, "There is no such message type.").
			WithFix("Send messages of type %s%s.", typePrefix, documentsOwn)
	}
	return c.say(fields, kind, bot)
}

// conversationID returns the conversation that a frame is about.
func conversationID(fields frame.Fields) (string, error) {
	id, err := fields.Required("conversation_id")
	if err != nil {
		return "", err
	}
	if _, err = broker.ParseToken(id); err != nil {
		return "", err
	}
	return id, nil
}

// say says what the user has typed. The answer is the encoder's affair. The request's id is the message's: a client that
// asks again after its connection was lost gets the answer once.
func (c *client) say(fields frame.Fields, kind, bot string) error {
	id, err := conversationID(fields)
	if err != nil {
		return err
	}
	u := sessions.Utterance{Origin: c.socket.Origin()}
	if u.Text, err = fields.Required("message"); err != nil {
		return err
	}
	if _, err = fields.Required("request_id"); err != nil {
		return err
	}
	if u.ID, err = fields.MessageID("request_id"); err != nil {
		return err
	}
	u.Reply = u.ID
	if u.Metadata, err = fields.Object("metadata"); err != nil {
		return err
	}
	ctx, cancel := c.socket.Patience()
	defer cancel()
	if !c.socket.Follows(id) {
		if _, _, err := c.hub.Create(ctx, c.socket.Principal(), sessions.Spec{ID: id, Bot: bot}); err != nil {
			return err
		}
	}
	if err := c.attend(id, kind); err != nil {
		return err
	}
	_, again, err := c.hub.Say(ctx, c.socket.Principal(), id, u)
	if err == nil && again {
		err = c.socket.Repeat(id, u.ID)
	}
	return err
}

// stop ends the answer that is being given in a conversation, or only the one to the request that it names. The last
// frame of the answer is the answer to this.
func (c *client) stop(fields frame.Fields) error {
	id, err := conversationID(fields)
	if err != nil {
		return err
	}
	request, err := fields.MessageID("request_id")
	if err != nil {
		return err
	}
	ctx, cancel := c.socket.Patience()
	defer cancel()
	return c.hub.Stop(ctx, c.socket.Principal(), id, request)
}

func (c *client) escalate(fields frame.Fields) error {
	id, err := conversationID(fields)
	if err != nil {
		return err
	}
	reason, err := fields.Optional("reason")
	if err != nil {
		return err
	}
	ctx, cancel := c.socket.Patience()
	defer cancel()
	if err := c.hub.Escalate(ctx, c.socket.Principal(), id, reason); err != nil {
		return err
	}
	c.socket.Send(plainFrame(typeEscalated, id, "A human agent will contact you soon."))
	return nil
}

// feedback passes on what the user thinks of an answer, all of the frame.
func (c *client) feedback(fields frame.Fields, text []byte) error {
	id, err := conversationID(fields)
	if err != nil {
		return err
	}
	if _, err := fields.Required("request_id"); err != nil {
		return err
	}
	ctx, cancel := c.socket.Patience()
	defer cancel()
	if err := c.hub.Feedback(ctx, c.socket.Principal(), id, append([]byte(nil), text...)); err != nil {
		return err
	}
	c.socket.Send(plainFrame(typeFeedbackHas, id, "Thank you for your feedback."))
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
		c.socket.Send(expiryFrame(typeAuthHas, g.Expires))
	}
	return err
}

// Expiring implements conversation.Client.
func (c *client) Expiring(at time.Time) []byte { return expiryFrame(typeExpiring, at) }

// Refusal implements conversation.Client: a last frame that says in words what is wrong.
func (c *client) Refusal(text []byte, err error) []byte {
	fields, _ := frame.Read(nil, text)
	r := response{kind: typePrefix + documentsOwn, delta: fault.Message(err), finished: true, status: sessions.Failed, problem: err}
	if kind, _ := fields.Optional("type"); kind != "" {
		if _, ok := botOf(kind); ok {
			r.kind = kind
		}
	}
	r.conversation, _ = conversationID(fields)
	r.request, _ = fields.MessageID("request_id")
	return r.appendJSON(nil)
}
