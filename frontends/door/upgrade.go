package door

import (
	"errors"
	"net/http"
	"strings"

	"parley/frontends/ws"
	"parley/internal/fault"
)

// Upgrade makes a WebSocket connection of the request, calls opts.Open and runs serve while there is something to read, as
// ws.Set.Accept does, and calls opts.Done at the end. dialect is how it is counted; opts.Subprotocol is the Door's affair. What can't be upgraded is a fault,
// and not answered yet.
func (d *Door) Upgrade(w http.ResponseWriter, r *http.Request, dialect string, opts ws.Options, serve func(*ws.Conn)) error {
	opts.Subprotocol = offered(r)
	v := d.books.visit(dialect, w, r)
	open, done := opts.Open, opts.Done
	opts.Open = func(c *ws.Conn) {
		d.books.enter(v, c)
		open(c)
	}
	opts.Done = func(c *ws.Conn) {
		defer d.books.leave(v)
		done(c)
	}
	return handshakeFault(d.set.Accept(w, r, opts, serve))
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
	case http.StatusServiceUnavailable:
		return fault.New(fault.Draining, "%s", h.Reason)
	}
	return fault.New(fault.UpgradeRequired, "The endpoint takes WebSocket connections only: %s.", h.Reason)
}
