package quota

import (
	"time"

	"parley/tenants"
)

// Dialect is what counts for the connections of a dialect while an operator has set nothing else. 0 means that there is no
// limit.
type Dialect struct {
	Name          string
	Connections   int64 // of one tenant in this dialect; a limit that was set counts all dialects
	PerIP         int64
	PerSecond     int64 // messages of one connection
	Burst         int64 // how many seconds' worth may come at once. Defaults to 1.
	Subscriptions int64
}

// Meter measures what one connection sends. The zero value is of no use: see Tenant.Meter.
type Meter struct {
	tenant  *Tenant
	dialect *Dialect

	due    int64 // as in rate
	second int64 // the present one
	count  int64 // of messages in it
}

// Meter returns a Meter for one connection. d is not changed any more.
func (t *Tenant) Meter(d *Dialect) Meter { return Meter{tenant: t, dialect: d} }

// Become goes on for the tenant that the connection turned out to be of.
func (m *Meter) Become(t *Tenant) { m.tenant = t }

// Tenant returns whose connection it is.
func (m *Meter) Tenant() *Tenant { return m.tenant }

// floodFactor says how much faster than allowed a client is that does not want an answer.
const floodFactor = 10

const (
	// leastRefused is how many messages a second a tenant is refused on all its connections before they are slowed down,
	// however low its limit is: a refusal costs little.
	leastRefused = 100
	// longestPause bounds for how long one refusal keeps a connection from being read.
	longestPause = second
)

// Verdict is what is to be done with a message. The zero value lets it go on.
type Verdict struct {
	// Refused says that the message is to be dropped, and answered with this, which is fault.RateLimited.
	Refused error
	// Flood says that the connection sends so many that it should be closed.
	Flood bool
	// Pause is for how long nothing more is to be read from the connection after the answer, so that TCP holds its client
	// back: the tenant's connections together send faster than it may. At most a second.
	Pause time.Duration
}

// Take judges a message of n bytes.
//
// It is called for every message: it takes no lock and allocates nothing unless it refuses.
func (m *Meter) Take(n int) Verdict {
	t := m.tenant
	own, all, bytes := t.perSecond.or(m.dialect.PerSecond), t.tenantPerSecond.or(0), t.bytesPerSecond.or(0)
	if own > 0 || all > 0 || bytes > 0 {
		now := t.book.clock()
		if own > 0 {
			if flood, err := m.pace(now, own); err != nil {
				return Verdict{Refused: err, Flood: flood}
			}
		}
		if err := t.pace(now, int64(n), all, bytes); err != nil {
			return Verdict{Refused: err, Pause: t.pause(now, all)}
		}
	}
	return Verdict{}
}

// pace judges the connection's own speed.
func (m *Meter) pace(now, limit int64) (flood bool, err error) {
	if s := now / second; s != m.second {
		m.second, m.count = s, 0
	}
	m.count++
	next, ok := spend(m.due, now, 1, limit, second*max(1, m.dialect.Burst))
	if ok {
		m.due = next
		return false, nil
	}
	return m.count > floodFactor*limit, m.tenant.tooFast(&m.tenant.perSecond, "A connection may send %d messages a second.", limit)
}

// Request judges an HTTP request with a body of n bytes, which is one of the tenant's messages. One that does not say how
// long it is, with -1, counts like the longest that is taken, as does one that claims to be longer. The error is
// fault.RateLimited.
func (t *Tenant) Request(n int64) error {
	if most := int64(t.MessageBytes()); n < 0 || n > most {
		n = most
	}
	if all, bytes := t.tenantPerSecond.or(0), t.bytesPerSecond.or(0); all > 0 || bytes > 0 {
		return t.pace(t.book.clock(), n, all, bytes)
	}
	return nil
}

// pace judges the speed of all of the tenant's connections together.
func (t *Tenant) pace(now, n, messages, bytes int64) error {
	if messages > 0 && !t.messages.take(now, 1, messages) {
		return t.tooFast(&t.tenantPerSecond, "The tenant may send %d messages a second.", messages)
	}
	if bytes > 0 && !t.bytes.take(now, n, bytes) {
		return t.tooFast(&t.bytesPerSecond, "The tenant may send %d bytes a second.", bytes)
	}
	return nil
}

// pause counts a refusal and returns for how long the connection that has it should not be read, so that all of the tenant's
// are refused no more messages a second than the tenant may send. A second's worth is refused at once.
func (t *Tenant) pause(now, messages int64) time.Duration {
	return time.Duration(t.refusals.wait(now, 1, max(leastRefused, messages), longestPause))
}

// LimitsTokens reports whether Tokens may ask for a pause.
func (t *Tenant) LimitsTokens() bool { return t.tokensPerSecond.or(0) != 0 }

// Tokens counts n tokens of an AI answer and returns for how many nanoseconds the answer should pause, so that the
// tenant's limit is kept.
func (t *Tenant) Tokens(n int) (pause int64) {
	limit := t.tokensPerSecond.or(0)
	if limit == 0 {
		return 0
	}
	if pause = t.tokens.wait(t.book.clock(), int64(n), limit, endless); pause > 0 {
		t.tokensPerSecond.refuse()
	}
	return pause
}

// MaySubscribe judges one more subscription of the connection, which has n. The error is fault.LimitExceeded; format says
// what there are too many of, with %d for the limit and without a full stop.
func (m *Meter) MaySubscribe(n int, format string) error {
	limit := m.tenant.subscriptions.or(m.dialect.Subscriptions)
	if limit == 0 || int64(n) < limit {
		return nil
	}
	return m.tenant.Exceeded(tenants.Subscriptions, format, limit)
}
