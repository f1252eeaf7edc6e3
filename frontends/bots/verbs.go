package bots

import (
	"context"

	"github.com/google/uuid"

	"parley/internal/fault"
	"parley/sessions"
)

// carryOut does what a frame of somebody known wants.
func (c *client) carryOut(req request) error {
	ctx, cancel := c.Socket().Patience()
	defer cancel()
	switch req.verb {
	case "message":
		return c.message(ctx, req)
	case "subscribe":
		return c.subscribe(ctx, req)
	case "unsubscribe":
		return c.unsubscribe(req)
	case "typing_start", "typing_stop", "stop", "human-escalation":
		session, err := req.named()
		if err != nil {
			return err
		}
		return noSession(c.about(ctx, req, session))
	}
	return fault.New(fault.UnknownType, "There is no message type %.64q.", req.verb)
}

// about carries out what is about a session that exists.
func (c *client) about(ctx context.Context, req request, session string) error {
	hub, who := c.dialect.desk.Hub(), c.Socket().Principal()
	switch req.verb {
	case "typing_start", "typing_stop":
		return hub.Type(ctx, who, session, c.Socket().Origin(), req.verb == "typing_start")
	case "stop":
		return hub.Stop(ctx, who, session, "")
	}
	reason, err := req.fields.Optional("reason")
	if err != nil {
		return err
	}
	return hub.Escalate(ctx, who, session, reason)
}

// message says something in a session, which is made if need be. Sending subscribes the sender: it has to see the answer.
func (c *client) message(ctx context.Context, req request) error {
	u, err := req.utterance()
	if err != nil {
		return err
	}
	session := req.session
	if session == "" || !c.Socket().Follows(session) {
		if session, err = c.reach(ctx, req); err != nil {
			return noSession(err)
		}
		if err := c.follow(session); err != nil {
			return noSession(err)
		}
	}
	u.Origin = c.Socket().Origin()
	_, _, err = c.dialect.desk.Hub().Say(ctx, c.Socket().Principal(), session, u)
	return noSession(err)
}

// reach returns the session that a message is for. One with a fresh UUID, or none at all, is made.
func (c *client) reach(ctx context.Context, req request) (string, error) {
	hub, who := c.dialect.desk.Hub(), c.Socket().Principal()
	if req.session != "" && uuid.Validate(req.session) != nil {
		_, err := hub.Info(ctx, who, req.session)
		return req.session, err
	}
	return c.create(ctx, req)
}

// create makes the session that the frame wants, and tells the client if it is new.
func (c *client) create(ctx context.Context, req request) (string, error) {
	spec, err := req.spec()
	if err != nil {
		return "", err
	}
	info, created, err := c.dialect.desk.Hub().Create(ctx, c.Socket().Principal(), spec)
	if err == nil && created {
		c.send(struct {
			Type    string `json:"type"`
			Session string `json:"session_id"`
		}{"session_created", info.ID})
	}
	return info.ID, err
}

func (c *client) subscribe(ctx context.Context, req request) error {
	session := req.session
	if session == "" {
		var err error
		if session, err = c.create(ctx, req); err != nil {
			return err
		}
	}
	err := c.follow(session)
	if fault.CodeOf(err) == fault.NotFound {
		// Inside a tenant it is no secret that a session exists: the document has a code for one of somebody else.
		all := sessions.Principal{Tenant: c.Socket().Principal().Tenant, Account: c.Socket().Principal().Account, Operator: true}
		if _, there := c.dialect.desk.Hub().Info(ctx, all, session); there == nil {
			return cannotSubscribe(err, "Cannot subscribe to session")
		}
	}
	return noSession(err)
}

// follow has the client told what happens in a session.
func (c *client) follow(session string) error {
	err := c.Socket().Follow(session, &encoder{origin: c.Socket().Origin()})
	if fault.CodeOf(err) == fault.LimitExceeded {
		return cannotSubscribe(err, "%s", fault.Message(err))
	}
	return err
}

func (c *client) unsubscribe(req request) error {
	session, err := req.named()
	if err != nil {
		return err
	}
	if !c.Socket().Follows(session) {
		return cannotSubscribe(nil, "The connection is not subscribed to this session")
	}
	c.Socket().Unfollow(session)
	return nil
}
