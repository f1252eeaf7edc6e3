package agents

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"parley/broker"
	"parley/channels"
	"parley/internal/fault"
	"parley/tenants"
)

// named returns the channel that an extension frame is about: the frame's own, else the connection's.
func (c *connection) named(req request) (broker.Name, error) {
	n, err := req.channel()
	if err != nil {
		return "", err
	}
	if n == "" {
		n = c.terms.channel
	}
	if n == "" {
		return "", fault.New(fault.NoDestination, "The frame names no channel_id.")
	}
	if !c.grant.MaySubscribe(string(broker.ChannelSubject(n))) {
		return "", notAllowed("subscribe to", n)
	}
	return n, nil
}

// subscribe adds a channel to the connection. The ACK comes before the first message, and says where delivery starts.
func (c *connection) subscribe(req request) error {
	name, err := c.named(req)
	if err != nil {
		return err
	}
	since, err := req.since()
	if err != nil {
		return err
	}
	// A second subscription to a channel replaces the first, so that a client can go back in it.
	i := c.find(name)
	if i < 0 {
		if err := c.meter.MaySubscribe(len(c.subs), "A connection has at most %d subscriptions"); err != nil {
			return err
		}
	}
	if i >= 0 {
		c.leave(i)
	}
	if c.terms.explicit {
		return c.subscribeExplicit(req, name, since)
	}
	ctx, cancel := c.patience()
	defer cancel()
	sub, err := c.space.Subscribe(ctx, c.address(name), c.options())
	if err != nil {
		return err
	}
	c.subs = append(c.subs, subscription{name, sub})
	c.present.Join(name)
	a := newAck(req.ID)
	start := sub.Place()
	if since.Set && since.Time.IsZero() {
		start = min(start, since.Seq)
	}
	a.Channel, a.Seq = string(name), &start
	c.answer(encode(a))
	sub.Start(c, since)
	return nil
}

func (c *connection) unsubscribe(req request) error {
	name, err := c.named(req)
	if err != nil {
		return err
	}
	i := c.find(name)
	if i < 0 {
		return fault.New(fault.NotSubscribed, "The connection is not subscribed to %q.", name)
	}
	c.leave(i)
	a := newAck(req.ID)
	a.Channel = string(name)
	c.answer(encode(a))
	return nil
}

func (c *connection) leave(i int) {
	c.subs[i].Close()
	c.present.Part(c.subs[i].name)
	c.subs = slices.Delete(c.subs, i, i+1)
}

func (c *connection) history(req request) error {
	name, err := c.named(req)
	if err != nil {
		return err
	}
	since, err := req.since()
	if err != nil {
		return err
	}
	limit, err := req.limit()
	if err != nil {
		return err
	}
	ctx, cancel := c.patience()
	defer cancel()
	h, err := c.space.History(ctx, c.address(name), since, limit)
	if err != nil {
		return err
	}
	a := newAck(req.ID)
	a.Channel = string(name)
	a.setHistory(h)
	c.answer(encode(a))
	return nil
}

func (a *ack) setHistory(h channels.History) {
	a.Messages = make([]jsontext.Value, len(h.Messages))
	for i, m := range h.Messages {
		a.Messages[i] = jsontext.Value(m)
	}
	a.More, a.Next = &h.More, &h.Last
	if h.Gap != nil {
		a.Gap = &gapView{h.Gap.From, h.Gap.To}
	}
}

// limit returns how many messages the frame wants, all that are allowed when it does not say.
func (r *request) limit() (int, error) {
	m, ok := r.member("limit")
	if !ok {
		return channels.MaxHistory, nil
	}
	return parseLimit(string(m.Value))
}

func parseLimit(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > channels.MaxHistory {
		return 0, fault.New(fault.InvalidFormat, "limit is a number from 1 to %d.", channels.MaxHistory)
	}
	return n, nil
}

func (c *connection) presence(req request) error {
	name, err := c.named(req)
	if err != nil {
		return err
	}
	a := newAck(req.ID)
	a.Channel = string(name)
	a.Agents = views(c.space.Present(name), c.grant)
	c.answer(encode(a))
	return nil
}

// views shows agents with those of their channels that the token may know of.
func views(all []channels.AgentState, g *tenants.Grant) []agentView {
	list := make([]agentView, len(all))
	for i, s := range all {
		list[i] = view(s, g)
	}
	return list
}

func view(s channels.AgentState, g *tenants.Grant) agentView {
	v := agentView{string(s.Agent), s.Status, s.Sockets, []string{}, channels.FormatTime(s.LastSeen)}
	for _, n := range s.Channels {
		if g.MaySubscribe(string(broker.ChannelSubject(n))) {
			v.Channels = append(v.Channels, string(n))
		}
	}
	return v
}

func (c *connection) status(req request) error {
	s, _, err := req.text("status")
	if err != nil {
		return err
	}
	status, err := channels.ParseStatus(s)
	if err != nil {
		return err
	}
	c.present.Say(status)
	a := newAck(req.ID)
	a.Status = status
	c.answer(encode(a))
	return nil
}

// renew puts the connection under a new token of the same agent. Subscriptions that it does not allow end.
func (c *connection) renew(req request) error {
	token, _, err := req.text("token")
	if err != nil {
		return err
	}
	ctx, cancel := c.patience()
	defer cancel()
	g, err := c.dialect.tokens.Verify(ctx, token)
	if err != nil {
		return err
	}
	if g.CheckAccess() != nil || g.Tenant != c.grant.Tenant || g.Agent != c.grant.Agent {
		return fault.New(fault.AuthFailed, "The token is for somebody else.").
			WithFix("Present a token of the agent that opened the connection.")
	}
	c.grant = g
	c.visitor.Renew(g)
	for i := len(c.subs) - 1; i >= 0; i-- {
		if !g.MaySubscribe(string(broker.ChannelSubject(c.subs[i].name))) {
			c.leave(i)
		}
	}
	a := newAck(req.ID)
	a.Expires = channels.FormatTime(g.Expires)
	c.answer(encode(a))
	return nil
}
