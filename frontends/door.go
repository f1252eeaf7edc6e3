package frontends

import (
	"sync"

	"parley/frontends/agents"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/tenants"
)

// The broker's own close codes: below 4500 a client should come back, from there on it should not.
const (
	closeTokenExpired ws.Code = 4001
	closeRevoked      ws.Code = 4501
	closeSuspended    ws.Code = 4505
)

// rechecker answers whether a grant still holds. The tenants' registry does.
type rechecker interface {
	Recheck(*tenants.Grant) error
}

// door knows every open connection with what its token allows, and closes those whose grant has ended: at its expiry,
// and when its tenant or key is changed. It is the agents.Doorkeeper of an Edge.
type door struct {
	grants rechecker

	mu   sync.Mutex
	open map[tenants.ID]map[*visitor]struct{} // guarded by mu
}

// visitor is one connection with the grant that it goes by.
type visitor struct {
	door  *door
	conn  *ws.Conn
	grant *tenants.Grant // guarded by door.mu
}

func newDoor(grants rechecker) *door {
	return &door{grants: grants, open: map[tenants.ID]map[*visitor]struct{}{}}
}

// Admit implements agents.Doorkeeper.
func (d *door) Admit(c *ws.Conn, g *tenants.Grant) agents.Pass {
	v := &visitor{door: d, conn: c}
	d.mu.Lock()
	all := d.open[g.Tenant]
	if all == nil {
		all = map[*visitor]struct{}{}
		d.open[g.Tenant] = all
	}
	all[v] = struct{}{}
	d.mu.Unlock()
	v.Renew(g)
	return v
}

// Renew implements agents.Pass.
func (v *visitor) Renew(g *tenants.Grant) {
	v.door.mu.Lock()
	v.grant = g
	v.door.mu.Unlock()
	v.conn.ExpireAt(g.Expires, func() { v.conn.Close(closeTokenExpired, "the token has expired; connect with a new one") })
	v.check() // what changed before the connection was known here
}

// Leave implements agents.Pass.
func (v *visitor) Leave() {
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
func (v *visitor) check() {
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
		v.conn.Close(closeSuspended, "the tenant is suspended")
	case fault.TokenExpired:
		v.conn.Close(closeTokenExpired, "the token has expired; connect with a new one")
	default:
		v.conn.Close(closeRevoked, "the token is no longer valid")
	}
}

// recheck looks at all connections of a tenant that has changed.
func (d *door) recheck(tenant tenants.ID) {
	d.mu.Lock()
	all := make([]*visitor, 0, len(d.open[tenant]))
	for v := range d.open[tenant] {
		all = append(all, v)
	}
	d.mu.Unlock()
	for _, v := range all {
		v.check()
	}
}
