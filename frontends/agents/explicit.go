package agents

import (
	"strconv"
	"time"

	"parley/broker"
	"parley/channels"
	"parley/internal/fault"
)

// maxDelay bounds how long a client may put a message off.
const maxDelay = time.Hour

// consume opens a place whose messages wait for the client's ACK. They come when it is started.
func (c *connection) consume(to channels.Address, durable broker.Token, since channels.Since) (*channels.Consumption, error) {
	ctx, cancel := c.patience()
	defer cancel()
	return c.space.Consume(ctx, to, channels.ConsumeOptions{
		Agent: c.grant.Agent, Durable: durable, Quiet: c.terms.quiet, Since: since,
		Wait: c.terms.wait, MaxDeliveries: c.terms.maxDeliveries,
	}, c)
}

// prepareExplicit is prepare on a connection that acknowledges by itself.
func (c *connection) prepareExplicit() error {
	inbox, err := c.consume(channels.Address{Tenant: c.grant.Tenant, Agent: c.grant.Agent}, "", channels.Since{})
	if err != nil {
		return err
	}
	c.inbox = inbox
	if c.terms.channel == "" {
		return nil
	}
	work, err := c.consume(c.address(c.terms.channel), c.terms.durable, c.terms.since)
	if err != nil {
		return err
	}
	c.subs = append(c.subs, subscription{c.terms.channel, work})
	return nil
}

// subscribeExplicit is subscribe on a connection that acknowledges by itself. Its ACK does not wait for the first message,
// nor the first message for it: the place knows what is delivered.
func (c *connection) subscribeExplicit(req request, name broker.Name, since channels.Since) error {
	durable := c.terms.durable
	if s, ok, err := req.text("durable"); err != nil {
		return err
	} else if ok {
		if durable, err = broker.ParseToken(s); err != nil {
			return err
		}
	}
	work, err := c.consume(c.address(name), durable, since)
	if err != nil {
		return err
	}
	if err := work.Start(); err != nil {
		work.Close()
		return err
	}
	c.subs = append(c.subs, subscription{name, work})
	c.present.Join(name)
	a := newAck(req.ID)
	a.Channel = string(name)
	c.answer(encode(a))
	return nil
}

// pending is a message that the client was given, as its ACK or NACK names it.
type pending struct {
	id  string
	seq uint64 // 0 when the client does not say
}

func (c *connection) pending(req request) (p pending, err error) {
	if !c.terms.explicit {
		return p, fault.New(fault.ReservedType, "The type %q belongs to the protocol.", req.Type).
			WithFix("Connect with ack=explicit to acknowledge what you receive.")
	}
	id, ok, err := req.text("message_id")
	if err != nil {
		return p, err
	}
	if !ok {
		return p, fault.New(fault.InvalidFormat, "The frame has no message_id.")
	}
	p.id = id
	if m, ok := req.member("seq"); ok {
		if p.seq, err = strconv.ParseUint(string(m.Value), 10, 64); err != nil {
			return p, fault.New(fault.InvalidFormat, "seq is the sequence of the message.")
		}
	}
	return p, nil
}

// settle looks through the connection's places for the one that holds the message.
func (c *connection) settle(p pending, f func(*channels.Consumption) (bool, error)) error {
	for _, place := range c.places() {
		if found, err := f(place); found {
			return err
		}
	}
	return fault.New(fault.NotFound, "No message %q waits for an answer.", p.id).
		WithFix("It was answered before, or its deadline has passed and it is delivered again.")
}

func (c *connection) places() []*channels.Consumption {
	var all []*channels.Consumption
	if inbox, ok := c.inbox.(*channels.Consumption); ok {
		all = append(all, inbox)
	}
	for _, s := range c.subs {
		if work, ok := s.place.(*channels.Consumption); ok {
			all = append(all, work)
		}
	}
	return all
}

// acknowledge ends a message. Only a failure is answered: the client asked for no ACK of its ACK.
func (c *connection) acknowledge(req request) error {
	p, err := c.pending(req)
	if err != nil {
		return err
	}
	ctx, cancel := c.patience()
	defer cancel()
	return c.settle(p, func(place *channels.Consumption) (bool, error) { return place.Ack(ctx, p.id, p.seq) })
}

// giveBack has a message delivered again.
func (c *connection) giveBack(req request) error {
	p, err := c.pending(req)
	if err != nil {
		return err
	}
	var delay time.Duration
	if m, ok := req.member("delay_ms"); ok {
		ms, err := strconv.ParseInt(string(m.Value), 10, 64)
		if err != nil || ms < 0 || ms > maxDelay.Milliseconds() {
			return fault.New(fault.InvalidFormat, "delay_ms is a number from 0 to %d.", maxDelay.Milliseconds())
		}
		delay = time.Duration(ms) * time.Millisecond
	}
	return c.settle(p, func(place *channels.Consumption) (bool, error) { return place.Nack(p.id, p.seq, delay) })
}
