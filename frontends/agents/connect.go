package agents

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"parley/broker"
	"parley/channels"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/tenants"
)

// terms are what a client asks for in the query of its connection.
type terms struct {
	channel broker.Name // "" for direct messages only
	since   channels.Since
	quiet   bool // leave out what this agent itself sends
}

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
	return t, nil
}

// accept subscribes, then upgrades: what is published from the moment the client sees its connection open on, it gets.
func (d *Dialect) accept(w http.ResponseWriter, r *http.Request, g *tenants.Grant, t terms) error {
	if d.draining.Load() {
		return fault.New(fault.Draining, "The broker is shutting down.")
	}
	if t.channel == "" && t.since.Set {
		return fault.New(fault.InvalidFormat, "since needs a channel_id.").WithFix("Direct messages that wait are delivered without it.")
	}
	if t.channel != "" && !g.MaySubscribe(string(broker.ChannelSubject(t.channel))) {
		return notAllowed("subscribe to", t.channel)
	}
	ctx := r.Context()
	space, err := d.hub.Open(ctx, g.Tenant, g.Account)
	if err != nil {
		return err
	}
	c := &connection{dialect: d, grant: g, space: space, home: t.channel, quiet: t.quiet}
	if c.inbox, err = space.SubscribeInbox(ctx, g.Agent); err != nil {
		c.close()
		return err
	}
	if t.channel != "" {
		sub, err := space.Subscribe(ctx, c.address(t.channel), c.options())
		if err != nil {
			c.close()
			return err
		}
		c.subs = append(c.subs, subscription{t.channel, sub})
	}
	err = d.set.Accept(w, r, ws.Options{Origins: d.origins, Subprotocol: offered(r)}, func(conn *ws.Conn) { c.serve(conn, t.since) })
	if err != nil {
		c.close()
		return handshakeFault(err)
	}
	return nil
}

func notAllowed(what string, n broker.Name) error {
	return fault.New(fault.PermissionDenied, "The token does not allow to %s the channel %q.", what, n)
}

// offered returns the subprotocol to agree on, the first that the client offers. One that carried a token is no longer
// among them: the edge has taken it off the request.
func offered(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ",")
	return strings.TrimSpace(first)
}

// handshakeFault is what a request that is no proper upgrade is answered.
func handshakeFault(err error) error {
	h, ok := errors.AsType[*ws.HandshakeError](err)
	if !ok {
		return err
	}
	switch h.Status {
	case http.StatusForbidden:
		return fault.New(fault.PermissionDenied, "%s", h.Reason)
	case http.StatusServiceUnavailable:
		return fault.New(fault.Draining, "%s", h.Reason)
	}
	return fault.New(fault.UpgradeRequired, "The endpoint takes WebSocket connections only: %s.", h.Reason)
}
