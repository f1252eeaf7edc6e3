package door

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/origin"
	"parley/quota"
	"parley/tenants"
)

// The broker's own close codes: below 4500 a client should come back, from there on it should not.
const (
	TokenExpired ws.Code = 4001
	Revoked      ws.Code = 4501
	Suspended    ws.Code = 4505
	Kicked       ws.Code = 4509
)

// Registry answers whether a grant still holds, and what its tenant is now. It is called by many goroutines and must not
// wait. The tenants' registry is one.
type Registry interface {
	Recheck(*tenants.Grant) error
	Get(tenants.ID) (tenants.Tenant, error)
}

// Door lets clients in and ends their connections when they may not be there any more.
type Door struct {
	set      *ws.Set
	registry Registry
	books    *books
	book     *quota.Book
	trusted  []netip.Prefix // proxies
	trims    atomic.Uint64  // how often connections were trimmed

	mu   sync.Mutex
	next uint64                               // guarded by mu; Visitor.order
	open map[tenants.ID]map[*Visitor]struct{} // guarded by mu
}

// Visitor is one connection with the grant that it goes by. Its methods are for the connection's own goroutine.
type Visitor struct {
	door   *Door
	conn   *ws.Conn
	seat   *Seat
	order  uint64 // which came first
	tenant tenants.ID
	who    string // the agent or user
	since  uint64 // revision of the tenant when the connection was admitted

	expiring func(time.Time) // nil when the client is not to be warned

	grant *tenants.Grant // guarded by door.mu
}

// Config is what a Door needs beside the connections.
type Config struct {
	Dialects []string        // whose connections come through it
	Quota    *quota.Book     // how many may
	Trusted  []netip.Prefix  // proxies that are believed what they say of their clients' addresses
	Meters   *tenants.Meters // counts what tenants use
	Log      *slog.Logger    // gets a line for each connection that ends
}

// New returns a Door through which connections come into set.
func New(set *ws.Set, registry Registry, cfg Config) *Door {
	d := &Door{
		set: set, registry: registry, books: newBooks(cfg.Dialects, cfg.Meters, cfg.Log), book: cfg.Quota, trusted: cfg.Trusted,
		open: map[tenants.ID]map[*Visitor]struct{}{},
	}
	d.book.OnLowered(d.lowered)
	return d
}

// Pass is with what a client comes in.
type Pass struct {
	Grant *tenants.Grant
	Who   string // the agent or user that it goes as; with an API key another one than the grant names
	Seat  *Seat  // the Visitor's from now on

	// Expiring is called some time before the grant ends, from a goroutine that it must not hold up. nil when the client
	// does not want to know.
	Expiring func(at time.Time)
}

// Admit is called once for each connection, before it is served. The connection ends when the grant does; it may be
// replaced by a later one of the same client. The Visitor's Leave is to be called when the connection has ended.
func (d *Door) Admit(c *ws.Conn, p Pass) *Visitor {
	d.books.admit(c, p)
	v := &Visitor{door: d, conn: c, seat: p.Seat, tenant: p.Grant.Tenant, who: p.Who, expiring: p.Expiring}
	if t, err := d.registry.Get(v.tenant); err == nil { // one that is gone is found by Renew
		v.since = t.Revision
	}
	d.mu.Lock()
	d.next++
	v.order = d.next
	all := d.open[v.tenant]
	if all == nil {
		all = map[*Visitor]struct{}{}
		d.open[v.tenant] = all
	}
	all[v] = struct{}{}
	d.mu.Unlock()
	if p.Seat.trims != d.trims.Load() { // it was not there to be trimmed
		d.trim(v.tenant)
	}
	v.Renew(p.Grant)
	return v
}

// Open reports why a page of this origin may not use a tenant: nil, fault.PermissionDenied or NotFound.
func (d *Door) Open(tenant tenants.ID, of string) error {
	t, err := d.registry.Get(tenant)
	if err != nil {
		return err
	}
	return origin.Check(of, t.Origins)
}

// Renew lets the connection go on under another grant.
func (v *Visitor) Renew(g *tenants.Grant) {
	v.door.mu.Lock()
	v.grant = g
	v.expireLocked(g)
	v.door.mu.Unlock()
	if t, err := v.door.registry.Get(v.tenant); err == nil { // what changed before the connection was known here
		v.check(&t)
	} else {
		v.conn.Cut(Revoked, noLongerValid)
	}
}

// Leave forgets the connection, which has ended.
func (v *Visitor) Leave() {
	v.seat.Leave()
	d := v.door
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open[v.tenant], v)
	if len(d.open[v.tenant]) == 0 {
		delete(d.open, v.tenant)
	}
}

const (
	noLongerValid = "the token is no longer valid"
	hasExpired    = "the token has expired; connect with a new one"
)

// check closes the connection if it may not go on in what its tenant has become. What is queued for it is not sent any
// more.
func (v *Visitor) check(t *tenants.Tenant) {
	v.door.mu.Lock()
	g := v.grant
	v.door.mu.Unlock()
	if g == nil {
		return // being admitted, which checks it
	}
	if t.Kicked(v.who, v.since) {
		v.conn.Cut(Kicked, "an administrator has closed the connection")
		return
	}
	switch fault.CodeOf(v.door.registry.Recheck(g)) {
	case "":
		if origin.Check(v.conn.Origin(), t.Origins) != nil {
			v.conn.Cut(ws.PolicyViolation, "pages of this origin may not use the tenant any more")
		}
	case fault.TenantSuspended:
		v.conn.Cut(Suspended, "the tenant is suspended")
	case fault.TokenExpired:
		v.conn.Cut(TokenExpired, hasExpired)
	default:
		v.conn.Cut(Revoked, noLongerValid)
	}
}

// Recheck looks at all connections of a tenant that has changed. Those that may not go on get nothing more once it has
// returned.
func (d *Door) Recheck(t *tenants.Tenant) {
	d.mu.Lock()
	all := make([]*Visitor, 0, len(d.open[t.ID]))
	for v := range d.open[t.ID] {
		all = append(all, v)
	}
	d.mu.Unlock()
	for _, v := range all {
		v.check(t)
	}
}
