package quota

import (
	"sync"

	"parley/internal/fault"
	"parley/tenants"
)

// Tenant is one tenant's share of a node.
type Tenant struct {
	id   tenants.ID
	book *Book

	connections, perAgent, perIP, perSecond, tenantPerSecond, bytesPerSecond, messageBytes limit
	channels, subscriptions, storageBytes, runs, tokensPerSecond, rooms, participants      limit

	messages, bytes, tokens rate // what all of the tenant's connections have sent, and its answers brought
	refusals                rate // what of it was refused because all together were too fast

	mu    sync.Mutex
	count map[Key]int // guarded by mu; what is open on this node
}

func newTenant(b *Book, id tenants.ID) *Tenant {
	t := &Tenant{id: id, book: b, count: map[Key]int{}}
	for name, total := range b.refused {
		if l := t.limitOf(name); l != nil {
			l.total = total
		}
	}
	t.set(nil)
	return t
}

// limitOf returns where a limit is kept, nil for those that this package has nothing to do with.
func (t *Tenant) limitOf(l tenants.Limit) *limit {
	switch l {
	case tenants.Connections:
		return &t.connections
	case tenants.ConnectionsPerAgent:
		return &t.perAgent
	case tenants.ConnectionsPerIP:
		return &t.perIP
	case tenants.MessagesPerSecond:
		return &t.perSecond
	case tenants.TenantMessagesPerSecond:
		return &t.tenantPerSecond
	case tenants.BytesPerSecond:
		return &t.bytesPerSecond
	case tenants.MessageBytes:
		return &t.messageBytes
	case tenants.Channels:
		return &t.channels
	case tenants.Subscriptions:
		return &t.subscriptions
	case tenants.Runs:
		return &t.runs
	case tenants.TokensPerSecond:
		return &t.tokensPerSecond
	case tenants.Rooms:
		return &t.rooms
	case tenants.Participants:
		return &t.participants
	case tenants.StorageBytes: // the store keeps to it
		return &t.storageBytes
	case tenants.HistoryAge: // which refuses nothing
	}
	return nil
}

// set takes over what an operator has set, and reports whether the limits of connections differ.
func (t *Tenant) set(all tenants.Limits) (differ bool) {
	for _, info := range tenants.AllLimits() {
		l := t.limitOf(info.Limit)
		if l == nil {
			continue
		}
		v := all.Or(info.Limit, unset)
		if before := l.value.Swap(v); before != v && (l == &t.connections || l == &t.perAgent || l == &t.perIP) {
			differ = true
		}
	}
	return differ
}

// Limit returns what a limit is now, byDefault unless an operator has set it. 0 means that there is none.
func (t *Tenant) Limit(l tenants.Limit, byDefault int64) int64 { return t.limitOf(l).or(byDefault) }

// MessageBytes returns how long one message may be now.
func (t *Tenant) MessageBytes() int {
	const usual = 64 << 10
	if v := t.messageBytes.or(usual); v > 0 {
		return int(v)
	}
	return tenants.MaxMessageBytes
}

// Exceeded counts that a limit has refused something, and returns the refusal. The message says what is limited and ends
// without a full stop.
func (t *Tenant) Exceeded(l tenants.Limit, format string, args ...any) *fault.Error {
	t.limitOf(l).refuse()
	return fault.New(fault.LimitExceeded, format+".", args...)
}

// StorageFull counts that the store had no room for a message, if that is because of the tenant's limit.
func (t *Tenant) StorageFull() {
	if t.storageBytes.or(0) > 0 {
		t.storageBytes.refuse()
	}
}

// TooLong counts a message of size bytes where limit are allowed, and returns the refusal: fault.MessageTooLarge.
func (t *Tenant) TooLong(size, limit int) error {
	t.messageBytes.refuse()
	return fault.New(fault.MessageTooLarge, "The message has %d bytes; %d are allowed.", size, limit)
}

// tooFast is Exceeded for rates.
func (t *Tenant) tooFast(l *limit, format string, args ...any) error {
	l.refuse()
	return fault.New(fault.RateLimited, format, args...).WithFix("Send it again a second later.")
}

func (t *Tenant) usage() Usage {
	u := Usage{Refused: map[tenants.Limit]uint64{}}
	for _, info := range tenants.AllLimits() {
		if l := t.limitOf(info.Limit); l != nil && l.refused.Value() > 0 {
			u.Refused[info.Limit] = l.refused.Value()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	u.Connections, u.Runs = t.count[Key{Kind: connection}], t.count[Key{Kind: Run}]
	return u
}
