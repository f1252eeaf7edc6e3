package quota

import (
	"net/netip"

	"parley/broker"
	"parley/tenants"
)

// Kind is what is counted across the cluster.
type Kind string

// The kinds. Connections are counted in three ways, by Tenant.Enter.
const (
	Run        Kind = "run" // an AI answer that is due
	connection Kind = "connection"
	dialect    Kind = "dialect" // connections of one dialect
	agent      Kind = "agent"   // connections of one agent
	address    Kind = "address" // connections from one address
)

// Key names what is counted: all of a kind, or those of one name.
type Key struct {
	Kind Kind
	Name string
}

// Entry is one connection as it is counted.
type Entry struct {
	Dialect *Dialect
	Agent   broker.Token // empty for API keys, which stand for all users
	IP      netip.Addr   // as Address returns it
}

// limited calls f with everything that limits the connections of e, until f returns false, and reports whether it never
// did.
func (t *Tenant) limited(e Entry, f func(k Key, limit int64, l tenants.Limit) bool) bool {
	total := t.connections.or(0)
	ofDialect := int64(0)
	if t.connections.value.Load() == unset {
		ofDialect = e.Dialect.Connections
	}
	return f(Key{Kind: connection}, total, tenants.Connections) &&
		f(Key{dialect, e.Dialect.Name}, ofDialect, tenants.Connections) &&
		(e.Agent == "" || f(Key{agent, string(e.Agent)}, t.perAgent.or(0), tenants.ConnectionsPerAgent)) &&
		(!e.IP.IsValid() || f(Key{address, e.IP.String()}, t.perIP.or(e.Dialect.PerIP), tenants.ConnectionsPerIP))
}

// Enter counts a connection, which Leave takes off again, unless there are too many: then the error is
// fault.LimitExceeded. On one node that is exact, however many come at the same time. In a cluster it counts what the
// other nodes have said last.
func (t *Tenant) Enter(e Entry) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var full tenants.Limit
	var most int64
	ok := t.limited(e, func(k Key, limit int64, l tenants.Limit) bool {
		full, most = l, limit
		return limit == 0 || int64(t.count[k]+t.book.others.count(t.id, k)) < limit
	})
	if !ok {
		return t.tooMany(full, most)
	}
	t.limited(e, func(k Key, _ int64, _ tenants.Limit) bool { t.add(k, 1); return true })
	return nil
}

// tooMany is what one connection too many is told.
func (t *Tenant) tooMany(l tenants.Limit, limit int64) error {
	whose := "The tenant has"
	switch l {
	case tenants.ConnectionsPerAgent:
		whose = "The agent has"
	case tenants.ConnectionsPerIP:
		whose = "Your address has"
	default:
	}
	return t.Exceeded(l, "%s %d connections open, which is the limit", whose, limit).
		WithFix("Close connections that are not needed, then connect again.")
}

// Leave takes a connection off the count.
func (t *Tenant) Leave(e Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limited(e, func(k Key, _ int64, _ tenants.Limit) bool { t.add(k, -1); return true })
}

// add counts. mu is held.
func (t *Tenant) add(k Key, n int) {
	if t.count[k] += n; t.count[k] <= 0 {
		delete(t.count, k)
	}
	t.book.others.changed(t.id, k, t.count[k])
}

// Begin counts one more of a kind, which End takes off again, unless the limit is reached: then the error is
// fault.LimitExceeded and says what, in the plural, there are too many of.
func (t *Tenant) Begin(k Kind, l tenants.Limit, byDefault int64, what string) error {
	limit := t.Limit(l, byDefault)
	t.mu.Lock()
	defer t.mu.Unlock()
	key := Key{Kind: k}
	if limit > 0 && int64(t.count[key]+t.book.others.count(t.id, key)) >= limit {
		return t.Exceeded(l, "The tenant has %d %s, which is the limit", limit, what)
	}
	t.add(key, 1)
	return nil
}

// Continue is Begin for what has begun elsewhere and can't be refused.
func (t *Tenant) Continue(k Kind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(Key{Kind: k}, 1)
}

// End takes off what Begin or Continue have counted.
func (t *Tenant) End(k Kind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(Key{Kind: k}, -1)
}

// Tally goes through the connections of a tenant, the oldest first, after its limits were changed.
type Tally struct {
	tenant *Tenant
	kept   map[Key]int64
}

// Tally returns an empty Tally.
func (t *Tenant) Tally() *Tally { return &Tally{t, map[Key]int64{}} }

// Keep judges the next connection: nil when it is within the limits together with those that were kept before. In a
// cluster, a node keeps its share of the limit.
func (y *Tally) Keep(e Entry) error {
	t := y.tenant
	t.mu.Lock()
	defer t.mu.Unlock()
	var full tenants.Limit
	var most int64
	ok := t.limited(e, func(k Key, limit int64, l tenants.Limit) bool {
		full, most = l, limit
		return limit == 0 || y.kept[k] < t.share(k, limit)
	})
	if !ok {
		return t.tooMany(full, most)
	}
	t.limited(e, func(k Key, _ int64, _ tenants.Limit) bool { y.kept[k]++; return true })
	return nil
}

// share is the part of a limit that this node may use when all nodes together have too many. mu is held.
func (t *Tenant) share(k Key, limit int64) int64 {
	own, others := int64(t.count[k]), int64(t.book.others.count(t.id, k))
	if others == 0 || own+others <= limit {
		return limit
	}
	return limit * own / (own + others)
}
