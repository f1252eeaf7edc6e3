package door

import (
	"sync"

	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/tenants"
)

// The broker's own close codes: below 4500 a client should come back, from there on it should not.
const (
	TokenExpired ws.Code = 4001
	Revoked      ws.Code = 4501
	Suspended    ws.Code = 4505
)

// Rechecker answers whether a grant still holds. It is called by many goroutines and must not wait. The tenants' registry
// is one.
type Rechecker interface {
	Recheck(*tenants.Grant) error
}

// Door lets clients in and ends their connections when they may not be there any more.
type Door struct {
	set     *ws.Set
	grants  Rechecker
	origins []string

	mu   sync.Mutex
	open map[tenants.ID]map[*Visitor]struct{} // guarded by mu
}

// Visitor is one connection with the grant that it goes by. Its methods are for the connection's own goroutine.
type Visitor struct {
	door  *Door
	conn  *ws.Conn
	grant *tenants.Grant // guarded by door.mu
}

// New returns a Door through which connections come into set.
func New(set *ws.Set, grants Rechecker) *Door {
	return &Door{set: set, grants: grants, open: map[tenants.ID]map[*Visitor]struct{}{}}
}

// Admit is called once for each connection, before it is served. The connection ends when the grant does; it may be
// replaced by a later one of the same client. The Visitor's Leave is to be called when the connection has ended.
func (d *Door) Admit(c *ws.Conn, g *tenants.Grant) *Visitor {
	v := &Visitor{door: d, conn: c}
	d.mu.Lock()
	all := d.open[g.Tenant]
	if all == nil {
		all = map[*Visitor]struct{}{}
		d.open[g.Tenant] = all
	}
	all[v] = struct{}{}
	d.mu.Unlock()
	v.Renew(g)
	return v
}

// Renew lets the connection go on under another grant.
func (v *Visitor) Renew(g *tenants.Grant) {
	v.door.mu.Lock()
	v.grant = g
	v.door.mu.Unlock()
	v.conn.ExpireAt(g.Expires, func() { v.conn.Close(TokenExpired, "the token has expired; connect with a new one") })
	v.check() // what changed before the connection was known here
}

// Leave forgets the connection, which has ended.
func (v *Visitor) Leave() {
	d := v.door
	d.mu.Lock()
	defer d.mu.Unlock()
	tenant := v.grant.Tenant
	delete(d.open[tenant], v)
	if len(d.open[tenant]) == 0 {
		delete(d.open, tenant)
	}
}

// check closes the connection if its grant has ended.
func (v *Visitor) check() {
	v.door.mu.Lock()
	g := v.grant
	v.door.mu.Unlock()
	if g == nil {
		return // being admitted, which checks it
	}
	err := v.door.grants.Recheck(g)
	switch fault.CodeOf(err) {
	case "":
	case fault.TenantSuspended:
		v.conn.Close(Suspended, "the tenant is suspended")
	case fault.TokenExpired:
		v.conn.Close(TokenExpired, "the token has expired; connect with a new one")
	default:
		v.conn.Close(Revoked, "the token is no longer valid")
	}
}

// Recheck looks at all connections of a tenant that has changed.
func (d *Door) Recheck(tenant tenants.ID) {
	d.mu.Lock()
	all := make([]*Visitor, 0, len(d.open[tenant]))
	for v := range d.open[tenant] {
		all = append(all, v)
	}
	d.mu.Unlock()
	for _, v := range all {
		v.check()
	}
}
