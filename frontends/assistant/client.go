package assistant

import (
	"strings"

	"parley/broker"
	"parley/frontends/conversation"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/sessions"
	"parley/tenants"
)

// client is one connection, with any number of conversations.
type client struct {
	dialect   *Dialect
	hub       *sessions.Hub
	grant     *tenants.Grant
	principal sessions.Principal
	page      bool     // it is a browser's
	wanted    []string // conversations to follow at once
	socket    *conversation.Socket
	heart     *heartbeat
	encoders  map[string]*encoder // of the conversations that are followed
	named     map[string]bool     // the conversations that the client has named
}

var _ conversation.Client = (*client)(nil)

// Open implements conversation.Client.
func (c *client) Open(s *conversation.Socket) error {
	c.socket = s
	if err := s.Admit(c.grant, c.principal); err != nil {
		return err
	}
	c.heart = &heartbeat{
		every: c.dialect.cfg.PingEvery, within: c.dialect.cfg.PongWithin,
		ask: func() { s.Send(pingFrame) }, missing: func() { s.Close(ws.GoingAway, "no pong in time") },
	}
	c.heart.start()
	for _, id := range c.wanted {
		if err := c.attend(id, typePrefix+documentsOwn); err != nil && fault.CodeOf(err) != fault.NotFound {
			return err
		}
	}
	return c.adopt()
}

// recent is how many of a user's conversations are looked at for answers that nobody attends.
const recent = 20

// adopt follows the conversations in which an answer is due that nobody attends: the page that has asked for it was cut
// off, and this connection is likely the same page's.
func (c *client) adopt() error {
	ctx, cancel := c.socket.Patience()
	defer cancel()
	page, _, err := c.hub.List(ctx, c.principal, c.principal.User, 0, recent)
	if err != nil {
		return err
	}
	bots := map[string]string{}
	for _, o := range page {
		if o.State.Answer != nil || len(o.State.Pending) > 0 {
			bots[o.ID] = o.Bot
		}
	}
	for _, id := range c.socket.CutOff() {
		bots[id] += ""
	}
	for id, bot := range bots {
		if c.dialect.attended.has(c.principal.Account, id) {
			continue
		}
		enc := &encoder{kind: typeOf(bot), session: id, page: c.page}
		switch err := c.socket.Follow(id, enc); fault.CodeOf(err) {
		case "":
			c.encoders[id] = enc
		case fault.NotFound: // deleted since
		default:
			return err
		}
	}
	return nil
}

// attend follows a conversation that the client has named, from now on all of it. kind is the type of its frames.
func (c *client) attend(id, kind string) error {
	enc := c.encoders[id]
	if enc == nil || !c.socket.Follows(id) {
		enc = &encoder{kind: kind, session: id, page: c.page}
		if err := c.socket.Follow(id, enc); err != nil {
			return err
		}
		c.encoders[id] = enc
	}
	enc.named.Store(true)
	if !c.named[id] {
		c.named[id] = true
		c.dialect.attended.enter(c.principal.Account, id)
	}
	return nil
}

// Lost implements conversation.Client: what the client says next in the conversation finds out what became of it.
func (c *client) Lost(string, error) {}

// Close implements conversation.Client.
func (c *client) Close() {
	if c.heart != nil {
		c.heart.stop()
	}
	for id := range c.named { // each is counted once
		c.dialect.attended.leave(c.principal.Account, id)
	}
}

// typeOf is the type of the frames of a session that workers of bot answer.
func typeOf(bot string) string {
	if bot == "" || bot == sharedQueue {
		return typePrefix + documentsOwn
	}
	return typePrefix + bot
}

// sharedQueue is the bot of a session that names none.
const sharedQueue = "ai"

// botOf is the reverse of typeOf, for what a client sends.
func botOf(kind string) (bot string, ok bool) {
	name, ok := strings.CutPrefix(kind, typePrefix)
	if _, err := broker.ParseToken(name); !ok || err != nil {
		return "", false
	}
	if name == documentsOwn {
		return "", true
	}
	return name, true
}
