package door

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"

	"parley/broker"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/quota"
	"parley/tenants"
)

// Address returns the address that a request counts for, as package quota counts them.
func (d *Door) Address(r *http.Request) netip.Addr { return client(r, d.trusted) }

// Seat is one connection's place among those that its tenant may have.
type Seat struct {
	tenant *quota.Tenant
	entry  quota.Entry
	trims  uint64 // how often connections had been trimmed before
}

// Strangers is what counts for connections that have yet to say whose they are.
func (d *Door) Strangers() *quota.Tenant { return d.book.Tenant("") }

// ReserveStranger takes a place for a connection that has yet to say whose it is, as one of its address.
func (d *Door) ReserveStranger(as *quota.Dialect, ip netip.Addr) (*Seat, error) {
	return d.Reserve("", &quota.Dialect{Name: as.Name, PerIP: as.PerIP}, "", ip)
}

// Reserve takes a place for a connection of a tenant's agent or user, to be given back with Leave. The error is
// fault.LimitExceeded.
func (d *Door) Reserve(tenant tenants.ID, as *quota.Dialect, who string, ip netip.Addr) (*Seat, error) {
	s := &Seat{d.book.Tenant(tenant), quota.Entry{Dialect: as, Agent: broker.Token(who), IP: ip}, d.trims.Load()}
	if err := s.tenant.Enter(s.entry); err != nil {
		return nil, err
	}
	return s, nil
}

// Tenant returns whose place it is.
func (s *Seat) Tenant() *quota.Tenant { return s.tenant }

// Leave gives the place back. It is called once.
func (s *Seat) Leave() { s.tenant.Leave(s.entry) }

// lowered brings the connections of a tenant in line with limits that were changed. Those that are being let in see to
// it themselves.
func (d *Door) lowered(tenant tenants.ID) {
	d.trims.Add(1)
	d.trim(tenant)
}

// trim closes the newest connections of a tenant that has more open than it may.
func (d *Door) trim(tenant tenants.ID) {
	d.mu.Lock()
	all := make([]*Visitor, 0, len(d.open[tenant]))
	for v := range d.open[tenant] {
		if v.seat != nil {
			all = append(all, v)
		}
	}
	d.mu.Unlock()
	slices.SortFunc(all, func(a, b *Visitor) int { return cmp.Compare(a.order, b.order) })
	tally := d.book.Tenant(tenant).Tally()
	for _, v := range all {
		if err := tally.Keep(v.seat.entry); err != nil {
			v.conn.Close(ws.PolicyViolation, fault.Message(err))
		}
	}
}
