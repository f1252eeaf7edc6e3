package door

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/meter"
	"parley/tenants"
)

// books count the connections of a Door and what goes over them. A connection counts for itself, where that costs next to
// nothing; its counts are added to those of its dialect and its tenant when somebody wants to know, and when it ends.
type books struct {
	meters  *tenants.Meters
	log     *slog.Logger
	refused meter.Counters[fault.Code] // handshakes

	mu       sync.Mutex
	open     map[*ws.Conn]*visit  // guarded by mu
	dialects map[string]*accounts // guarded by mu
}

// visit is one connection.
type visit struct {
	conn    *ws.Conn
	dialect string
	request string // the id of the request that it began as
	remote  string
	began   time.Time
	tenant  tenants.ID     // empty until it is admitted, as are the next two; guarded by books.mu
	who     string         // see Pass; guarded by books.mu
	meter   *tenants.Meter // of its tenant; guarded by books.mu
	booked  ws.Traffic     // what is in the accounts already; guarded by books.mu
}

// accounts are what the connections of one dialect have done so far.
type accounts struct {
	open     int
	accepted uint64
	slow     uint64
	traffic  ws.Traffic
	closed   map[closing]uint64
}

// closing is how connections end.
type closing struct{ code, by string }

// RequestID is the header in which a request's id is returned.
const RequestID = "X-Request-Id"

func newBooks(dialects []string, meters *tenants.Meters, log *slog.Logger) *books {
	b := &books{meters: meters, log: log, open: map[*ws.Conn]*visit{}, dialects: map[string]*accounts{}}
	meters.OnRead(b.settle)
	for _, name := range dialects { // counted from the beginning, so that nobody misses the first change
		b.of(name).closed[closing{"1000", "client"}] = 0
	}
	return b
}

// visit returns what the books will hold about the connection that a request becomes.
func (b *books) visit(dialect string, w http.ResponseWriter, r *http.Request) *visit {
	return &visit{dialect: dialect, request: w.Header().Get(RequestID), remote: r.RemoteAddr, began: time.Now()}
}

func (b *books) enter(v *visit, c *ws.Conn) {
	v.conn = c
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[c] = v
	a := b.of(v.dialect)
	a.open++
	a.accepted++
}

// of returns the accounts of a dialect. mu is held.
func (b *books) of(dialect string) *accounts {
	a := b.dialects[dialect]
	if a == nil {
		a = &accounts{closed: map[closing]uint64{}}
		b.dialects[dialect] = a
	}
	return a
}

// admit notes whose connection it is, once.
func (b *books) admit(c *ws.Conn, p Pass) {
	m := b.meters.Of(p.Grant.Account)
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.open[c]
	if v == nil || v.meter != nil {
		return
	}
	v.tenant, v.who, v.meter = p.Grant.Tenant, p.Who, m
	m.Open.Add(1)
	m.Connections.Inc()
}

// book adds what has gone over a connection to its dialect's and its tenant's accounts. mu is held.
func (b *books) book(v *visit) {
	now := v.conn.Traffic()
	more := now.Minus(v.booked)
	a := b.of(v.dialect)
	a.traffic, v.booked = a.traffic.Plus(more), now
	if v.meter == nil {
		return // nobody knows yet whose it is
	}
	v.meter.Received.Add(more.Received)
	v.meter.ReceivedBytes.Add(more.ReceivedBytes)
	v.meter.Sent.Add(more.Sent)
	v.meter.SentBytes.Add(more.SentBytes)
}

// leave closes the accounts of a connection whose handler has ended, and writes its line in the log.
func (b *books) leave(v *visit) {
	why := v.conn.Closed()
	if why == nil { // its handler has had enough
		why = &ws.CloseError{Code: ws.Normal}
	}
	b.mu.Lock()
	b.book(v)
	delete(b.open, v.conn)
	a := b.of(v.dialect)
	a.open--
	a.closed[closingOf(why)]++
	if errors.Is(why, ws.ErrSlow) {
		a.slow++
	}
	if v.meter != nil {
		v.meter.Open.Add(-1)
	}
	b.mu.Unlock()
	b.note(v, why) // which nobody changes any more
}

// closingOf is how an end is counted. What codes clients make up is their affair.
func closingOf(why *ws.CloseError) closing {
	c := closing{strconv.Itoa(int(why.Code)), "server"}
	if why.ByPeer {
		c.by = "client"
		if why.Code > 1015 {
			c.code = "other"
		}
	}
	return c
}

// note writes the one line that the log has about a connection.
func (b *books) note(v *visit, why *ws.CloseError) {
	if !b.log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	t := v.conn.Traffic()
	attrs := []slog.Attr{slog.String("dialect", v.dialect), slog.String("request", v.request), slog.String("remote", v.remote)}
	if v.tenant != "" {
		attrs = append(attrs, slog.String("tenant", string(v.tenant)), slog.String("principal", v.who))
	}
	attrs = append(
		attrs, slog.Duration("duration", time.Since(v.began).Round(time.Millisecond)),
		slog.Uint64("received", t.Received), slog.Uint64("received_bytes", t.ReceivedBytes),
		slog.Uint64("sent", t.Sent), slog.Uint64("sent_bytes", t.SentBytes),
		slog.Int("code", int(why.Code)), slog.String("reason", why.Reason), slog.Bool("by_client", why.ByPeer),
	)
	b.log.LogAttrs(context.Background(), slog.LevelInfo, "connection ended", attrs...)
}

// settle brings the accounts up to date with what has gone over the open connections.
func (b *books) settle() {
	b.mu.Lock()
	all := make([]*visit, 0, len(b.open))
	for _, v := range b.open {
		all = append(all, v)
	}
	b.mu.Unlock()
	for _, v := range all { // one at a time, so that nobody waits at the door for long
		b.mu.Lock()
		if b.open[v.conn] != nil {
			b.book(v)
		}
		b.mu.Unlock()
	}
}

// Refuse counts a handshake that was refused.
func (d *Door) Refuse(why fault.Code) { d.books.refused.Inc(why) }

// Report implements meter.Source.
func (d *Door) Report(r *meter.Report) {
	b := d.books
	b.settle()
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, a := range b.dialects {
		dialect := meter.Label{Name: "dialect", Value: name}
		r.Gauge("parley_connections", "WebSocket connections that are open.", float64(a.open), dialect)
		r.Counter("parley_connections_accepted_total", "WebSocket connections that were made.", a.accepted, dialect)
		r.Counter("parley_slow_consumers_total", "WebSocket connections that were closed because the client did not read.", a.slow, dialect)
		r.Counter("parley_messages_received_total", "WebSocket messages from clients.", a.traffic.Received, dialect)
		r.Counter("parley_received_bytes_total", "Bytes of the WebSocket messages from clients.", a.traffic.ReceivedBytes, dialect)
		r.Counter("parley_messages_sent_total", "WebSocket messages to clients, answers included.", a.traffic.Sent, dialect)
		r.Counter("parley_sent_bytes_total", "Bytes to clients over WebSocket, with all that frames them.", a.traffic.SentBytes, dialect)
		for how, n := range a.closed {
			r.Counter("parley_connections_closed_total", "WebSocket connections that have ended, by close code and by who began to close.",
				n, dialect, meter.Label{Name: "code", Value: how.code}, meter.Label{Name: "by", Value: how.by})
		}
	}
	meter.ByLabel(r, "parley_handshakes_refused_total", "WebSocket handshakes that were refused, by error code.", "reason", &b.refused)
}
