package channels

import (
	"context"
	"strconv"
	"strings"
	"time"

	"parley/acks"
	"parley/broker"
	"parley/internal/rawjson"
)

// ConsumeOptions say how messages are delivered that wait for the receiver.
type ConsumeOptions struct {
	Agent         broker.Token
	Durable       broker.Token // several connections of one name share the work. Zero means a place of the agent's own.
	Quiet         bool         // leave out what Agent itself has sent
	Since         Since        // where a new place begins; one that exists goes on where it is
	Wait          time.Duration
	MaxDeliveries int
}

// forgetAfter is how long an agent's own place is kept that nobody uses. One with a name is kept until it is deleted.
const forgetAfter = 7 * 24 * time.Hour

// Consumption delivers what an address holds until each message is acknowledged.
type Consumption struct {
	*acks.Ledger
	space *Space
	to    Address
	opts  ConsumeOptions
	sink  Sink
	name  string
}

// Consume opens a place for sink, which misses nothing from now on; delivery begins with Consumption.Start. What is delivered
// waits for Consumption.Ack; without it, or when the Consumption is closed, it is delivered again. The caller closes it.
func (s *Space) Consume(ctx context.Context, to Address, opts ConsumeOptions, sink Sink) (*Consumption, error) {
	if err := to.check(); err != nil {
		return nil, err
	}
	c := &Consumption{space: s, to: to, opts: opts, sink: sink, name: placeName(to, opts)}
	terms := acks.Terms{
		Stream: to.stream(), Subject: to.Subject(), Name: c.name, From: opts.Since.Time,
		Wait: opts.Wait, MaxDeliveries: opts.MaxDeliveries,
	}
	if opts.Since.Set && opts.Since.Time.IsZero() {
		terms.FromSeq = opts.Since.Seq + 1
	}
	if opts.Durable == "" {
		terms.Forget = forgetAfter
	}
	if to.Agent != "" {
		place, err := s.inboxPlace(ctx, to.Agent)
		if err != nil {
			return nil, err
		}
		terms.FromSeq = place + 1
	}
	var err error
	c.Ledger, err = acks.OpenLedger(ctx, s.conn, terms, c)
	return c, err
}

// The kinds of places. In a place's name, which NATS allows no dots, '=' stands between the parts and for each dot: no id
// has one.
const (
	placeDurable = "d"
	placeAgent   = "a"
	placeInbox   = "i"
)

func placeName(to Address, opts ConsumeOptions) string {
	kind, owner := placeAgent, opts.Agent
	if to.Agent != "" {
		return placeInbox + "=" + string(to.Agent)
	}
	if opts.Durable != "" {
		kind, owner = placeDurable, opts.Durable
	}
	return kind + "=" + string(owner) + "=" + strings.ReplaceAll(string(to.Channel), ".", "=")
}

// parsePlace undoes placeName: whose place it is, and of which channel; "" for an inbox.
func parsePlace(name string) (kind string, owner broker.Token, channel broker.Name) {
	kind, rest, _ := strings.Cut(name, "=")
	own, ch, _ := strings.Cut(rest, "=")
	return kind, broker.Token(own), broker.Name(strings.ReplaceAll(ch, "=", "."))
}

// Encode implements acks.Taker.
func (c *Consumption) Encode(d acks.Delivery) (id string, frame []byte) {
	message, sender := appendDelivery(nil, c.to, d.Stored)
	if c.opts.Quiet && sender == c.opts.Agent {
		return "", nil
	}
	if d.Redelivered > 0 {
		message = append(strconv.AppendInt([]byte(`{"redelivered":`), int64(d.Redelivered), 10), append([]byte(","), message[1:]...)...)
	}
	return idOf(message), c.space.hub.cfg.Frame(nil, message)
}

// Send implements acks.Taker.
func (c *Consumption) Send(frame []byte) error { return c.sink.Send(frame) }

func idOf(message []byte) string {
	members, _ := rawjson.Object(nil, message) // it was built here
	for _, m := range members {
		if m.Name == "id" {
			id, _ := m.String()
			return id
		}
	}
	return ""
}

// Close ends the delivery; what is not acknowledged is given back. Of an inbox, what has been acknowledged without a hole
// counts as delivered for connections that do not acknowledge, too.
func (c *Consumption) Close() {
	c.Ledger.Close()
	if c.to.Agent == "" {
		return
	}
	ctx, cancel := context.WithTimeout(c.space.hub.life, openWithin)
	defer cancel()
	if place, err := c.space.conn.JetStream().Consumer(ctx, string(c.to.stream()), c.name); err == nil {
		if floor := place.CachedInfo().AckFloor.Stream; floor > 0 {
			c.space.saveInbox(c.to.Agent, floor)
		}
	}
}
