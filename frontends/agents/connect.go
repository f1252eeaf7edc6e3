package agents

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"parley/broker"
	"parley/channels"
	"parley/frontends/door"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/trace"
	"parley/tenants"
)

// terms are what a client asks for in the query of its connection.
type terms struct {
	channel broker.Name // "" for direct messages only
	since   channels.Since
	quiet   bool // leave out what this agent itself sends
	warn    bool // say so before the token expires

	explicit      bool // what is delivered waits for an ACK
	durable       broker.Token
	wait          time.Duration
	maxDeliveries int
}

// The bounds on what a client may ask for when it acknowledges by itself.
const (
	maxWaitSeconds = 3600
	maxDeliveries  = 100
)

func readTerms(q url.Values) (t terms, err error) {
	if s := q.Get("since"); s != "" {
		if t.since, err = channels.ParseSince(s); err != nil {
			return t, err
		}
	}
	switch q.Get("echo") {
	case "", "true":
	case "false":
		t.quiet = true
	default:
		return t, fault.New(fault.InvalidFormat, "echo is true or false.")
	}
	t.warn = door.Wants(q, door.WarnExpiry)
	return t, t.readExplicit(q)
}

// readExplicit reads the terms of explicit acknowledgement.
func (t *terms) readExplicit(q url.Values) (err error) {
	switch q.Get("ack") {
	case "", "none":
	case "explicit":
		t.explicit = true
	default:
		return fault.New(fault.InvalidFormat, "ack is explicit or none.")
	}
	for _, name := range []string{"durable", "ack_wait", "max_deliveries"} {
		if q.Get(name) != "" && !t.explicit {
			return fault.New(fault.InvalidFormat, "%s needs ack=explicit.", name)
		}
	}
	if s := q.Get("durable"); s != "" {
		if t.durable, err = broker.ParseToken(s); err != nil {
			return err
		}
	}
	seconds, err := bounded(q, "ack_wait", maxWaitSeconds)
	t.wait = time.Duration(seconds) * time.Second
	if err != nil {
		return err
	}
	t.maxDeliveries, err = bounded(q, "max_deliveries", maxDeliveries)
	return err
}

// bounded returns a number from 1 to limit, 0 when the query does not have it.
func bounded(q url.Values, name string, limit int) (int, error) {
	s := q.Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > limit {
		return 0, fault.New(fault.InvalidFormat, "%s is a number from 1 to %d.", name, limit)
	}
	return n, nil
}

// accept subscribes, then upgrades: what is published from the moment the client sees its connection open on, it gets.
func (d *Dialect) accept(w http.ResponseWriter, r *http.Request, g *tenants.Grant, t terms) error {
	if d.draining.Load() {
		return fault.New(fault.Draining, "The broker is shutting down.")
	}
	if t.channel == "" && t.since.Set {
		return fault.New(fault.InvalidFormat, "since needs a channel_id.").WithFix("Direct messages that wait are delivered without it.")
	}
	if t.channel == "" && t.durable != "" {
		return fault.New(fault.InvalidFormat, "durable needs a channel_id.")
	}
	if t.channel != "" && !g.MaySubscribe(string(broker.ChannelSubject(t.channel))) {
		return notAllowed("subscribe to", t.channel)
	}
	ctx := r.Context()
	seat, err := d.door.Reserve(g.Tenant, &d.terms, string(g.Agent), d.door.Address(r))
	if err != nil {
		return err
	}
	space, err := d.hub.Open(ctx, g.Tenant, g.Account)
	if err != nil {
		seat.Leave()
		return err
	}
	c := &connection{dialect: d, grant: g, space: space, terms: t, parent: trace.Parse(r.Header.Get(trace.Header)), seat: seat, meter: seat.Tenant().Meter(&d.terms)}
	if err := c.prepare(ctx); err != nil {
		c.close()
		return err
	}
	if err := d.door.Upgrade(w, r, "agents", ws.Options{Open: c.open, Done: c.done}, c.read); err != nil {
		c.close()
		return err
	}
	return nil
}

func notAllowed(what string, n broker.Name) error {
	return fault.New(fault.PermissionDenied, "The token does not allow to %s the channel %q.", what, n)
}
