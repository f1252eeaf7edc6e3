package agents

import (
	"context"
	"errors"
	"slices"
	"time"

	"parley/broker"
	"parley/channels"
	"parley/frontends/door"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/quota"
	"parley/tenants"
)

const (
	// maxSubscriptions bounds what one connection can make a node hold, unless the tenant's limits say otherwise.
	maxSubscriptions = 1000
	// maxUnacked bounds the messages of one connection that are on their way to the disk. Its reader waits beyond, so
	// that TCP slows the client down.
	maxUnacked = 256
)

// connection is one socket of an agent. Its reader owns it; receipts and topics reach only the socket.
type connection struct {
	dialect *Dialect
	socket  *ws.Conn
	grant   *tenants.Grant
	seat    *door.Seat
	visitor *door.Visitor // nil until open; then the seat is its
	meter   quota.Meter
	space   *channels.Space
	present *channels.Presence

	terms  terms
	parent string // the traceparent of the handshake, "" when it had none
	inbox  place
	subs   []subscription // few, so that looking through them is fastest

	unacked chan struct{} // holds a token for each message on its way; made at the first one
	settled []byte        // the answers of the round that is being settled; touched by receipts only
}

// place is what a connection has in an address.
type place interface{ Close() }

type subscription struct {
	name broker.Name
	place
}

func (c *connection) address(n broker.Name) channels.Address {
	return channels.Address{Tenant: c.grant.Tenant, Channel: n}
}

func (c *connection) options() channels.SubscribeOptions {
	return channels.SubscribeOptions{Agent: c.grant.Agent, Quiet: c.terms.quiet}
}

// prepare makes true what the client may rely on from the moment it sees its connection open: that it is online, and that
// it misses nothing.
func (c *connection) prepare(ctx context.Context) error {
	if c.terms.channel == "" {
		c.present = c.space.Enter(c.grant.Agent)
	} else {
		c.present = c.space.Enter(c.grant.Agent, c.terms.channel)
	}
	if c.terms.explicit {
		return c.prepareExplicit()
	}
	inbox, err := c.space.SubscribeInbox(ctx, c.grant.Agent)
	if err != nil {
		return err
	}
	c.inbox = inbox
	if c.terms.channel == "" {
		return nil
	}
	sub, err := c.space.Subscribe(ctx, c.address(c.terms.channel), c.options())
	if err != nil {
		return err
	}
	c.subs = append(c.subs, subscription{c.terms.channel, sub})
	return nil
}

// open lets the client in and begins delivery.
func (c *connection) open(socket *ws.Conn) {
	c.socket = socket
	pass := door.Pass{Grant: c.grant, Who: string(c.grant.Agent), Seat: c.seat}
	if c.terms.warn {
		pass.Expiring = func(at time.Time) { c.answer(expiringFrame(at)) }
	}
	c.visitor = c.dialect.door.Admit(socket, pass)
	if err := c.begin(); err != nil {
		c.dialect.log.Warn("a connection's places could not be opened", "tenant", c.grant.Tenant, "agent", c.grant.Agent, "err", err)
		socket.Close(ws.TryLater, fault.Message(err))
	}
}

// begin starts delivery.
func (c *connection) begin() error {
	if c.terms.explicit {
		for _, place := range c.places() {
			if err := place.Start(); err != nil {
				return err
			}
		}
		return nil
	}
	for _, s := range c.subs {
		s.place.(*channels.Subscription).Start(c, c.terms.since)
	}
	c.inbox.(*channels.Subscription).StartInbox(c)
	return nil
}

// read carries out what the client sends, until it is silent or its socket ends.
func (c *connection) read(*ws.Conn) {
	for {
		c.socket.LimitMessages(c.meter.Tenant().MessageBytes())
		text, kind, err := c.socket.ReadMessage()
		size := len(text)
		var tooBig *ws.TooBigError
		if errors.As(err, &tooBig) {
			size, err = tooBig.Size, nil
		}
		if err != nil {
			return
		}
		verdict := c.meter.Take(size)
		switch {
		case verdict.Flood:
			c.socket.Close(ws.PolicyViolation, "far too many messages a second")
			return
		case verdict.Refused != nil:
			c.refuse(text, verdict.Refused)
			c.socket.Pause(verdict.Pause)
		case tooBig != nil:
			c.refuse(text, c.meter.Tenant().TooLong(tooBig.Size, tooBig.Limit))
		case kind != ws.Text:
			c.answer(errorFrame("", fault.New(fault.InvalidFormat, "Frames are text.")))
		default:
			c.handle(text)
		}
	}
}

// refuse answers a frame that was dropped, naming it as far as it can be read.
func (c *connection) refuse(text []byte, err error) {
	req, _ := decode(nil, text)
	c.answer(errorFrame(req.ID, err))
}

// done ends the connection with its socket.
func (c *connection) done(*ws.Conn) { c.close() }

// close gives back what the connection holds. It is called once.
func (c *connection) close() {
	if c.inbox != nil {
		c.inbox.Close()
	}
	for _, s := range c.subs {
		s.Close()
	}
	if c.present != nil {
		c.present.Leave()
	}
	if c.visitor != nil {
		c.visitor.Leave()
	} else {
		c.seat.Leave()
	}
	c.space.Release()
}

// answer sends a frame. A socket that takes no more ends by itself.
func (c *connection) answer(frame []byte) { _ = c.socket.Send(frame) }

// handle carries one frame out and answers it, except messages, which their receipt answers.
func (c *connection) handle(text []byte) {
	room := c.dialect.rooms.Get().(*room)
	defer c.dialect.rooms.Put(room)
	req, err := decode(room[:0], text)
	if err == nil {
		err = c.carryOut(req)
	}
	if err == nil {
		return
	}
	if fault.CodeOf(err) == fault.Internal {
		c.dialect.log.Error("a frame could not be carried out", "tenant", c.grant.Tenant, "agent", c.grant.Agent, "type", req.Type, "err", err)
	}
	c.answer(errorFrame(req.ID, err))
}

func (c *connection) carryOut(req request) error {
	switch req.Type {
	case "":
		return fault.New(fault.InvalidFormat, "The frame has no type.")
	case "subscribe":
		return c.subscribe(req)
	case "unsubscribe":
		return c.unsubscribe(req)
	case "history":
		return c.history(req)
	case "presence":
		return c.presence(req)
	case "status":
		return c.status(req)
	case "auth":
		return c.renew(req)
	case "ACK":
		return c.acknowledge(req)
	case "NACK":
		return c.giveBack(req)
	case "ping":
		c.answer(encode(newAck(req.ID)))
		return nil
	}
	return c.publish(req)
}

// Send delivers frames to the socket. Together with the next methods it makes the connection a channels.Sink.
func (c *connection) Send(frames []byte) error { return c.socket.Send(frames) }

// AwaitBacklog waits until the socket has taken all but n bytes.
func (c *connection) AwaitBacklog(ctx context.Context, n int) error {
	return c.socket.AwaitBacklog(ctx, n)
}

// Gap tells the client what is missing.
func (c *connection) Gap(to channels.Address, g channels.Gap) { c.answer(gapFrame(to, g)) }

// Queued and Flushed count the socket's bytes, so that an inbox knows what its agent has got.
func (c *connection) Queued() uint64 { return c.socket.Queued() }

// Flushed returns how many of the queued bytes the kernel has taken.
func (c *connection) Flushed() uint64 { return c.socket.Flushed() }

// lookup bounds what a frame may wait for that reads from the store.
const lookup = 10 * time.Second

func (c *connection) patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.dialect.life, lookup)
}

func (c *connection) find(n broker.Name) int {
	return slices.IndexFunc(c.subs, func(s subscription) bool { return s.name == n })
}
