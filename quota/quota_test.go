package quota

import (
	"errors"
	"log/slog"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/fault"
	"parley/tenants"
)

// registry is one in memory.
type registry struct {
	mu       sync.Mutex
	limits   map[tenants.ID]tenants.Limits
	listener []func(tenants.Tenant)
}

func (r *registry) Get(id tenants.ID) (tenants.Tenant, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.limits[id]
	if !ok {
		return tenants.Tenant{}, errors.New("unknown")
	}
	return tenants.Tenant{ID: id, State: tenants.Active, Limits: l}, nil
}

func (r *registry) List() (all []tenants.Tenant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, l := range r.limits {
		all = append(all, tenants.Tenant{ID: id, State: tenants.Active, Limits: l})
	}
	return all
}

func (r *registry) Changes(f func(tenants.Tenant)) func() {
	r.listener = append(r.listener, f)
	return func() {}
}

// set changes the limits of the tenant acme.
func (r *registry) set(l tenants.Limits) {
	const id = tenants.ID("acme")
	r.mu.Lock()
	if r.limits == nil {
		r.limits = map[tenants.ID]tenants.Limits{}
	}
	r.limits[id] = l
	r.mu.Unlock()
	for _, f := range r.listener {
		f(tenants.Tenant{ID: id, State: tenants.Active, Limits: l})
	}
}

func newBook(t testing.TB) (*Book, *registry) {
	t.Helper()
	r := &registry{}
	return NewBook(r, nil, slog.New(slog.DiscardHandler)), r
}

func wantCode(t *testing.T, what string, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Errorf("%s: %v, want %q", what, err, code)
	}
}

// TestEnterIsExact has a thousand come at the same moment where fifty may be.
func TestEnterIsExact(t *testing.T) {
	b, _ := newBook(t)
	tenant := b.Tenant("acme")
	d := &Dialect{Name: "x", Connections: 50}
	var in atomic.Int64
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			if tenant.Enter(Entry{Dialect: d}) == nil {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if in.Load() != 50 || tenant.usage().Connections != 50 || tenant.usage().Refused[tenants.Connections] != 950 {
		t.Errorf("%d are in, %+v", in.Load(), tenant.usage())
	}
	tenant.Leave(Entry{Dialect: d})
	if err := tenant.Enter(Entry{Dialect: d}); err != nil {
		t.Errorf("after one has left: %v", err)
	}
	for range 50 {
		tenant.Leave(Entry{Dialect: d})
	}
	if len(tenant.count) != 0 {
		t.Errorf("an empty house has %v", tenant.count)
	}
}

func TestLimitsOfConnections(t *testing.T) {
	chat, other := &Dialect{Name: "tenantchat", Connections: 2}, &Dialect{Name: "agents"}
	bots := &Dialect{Name: "bots", PerIP: 2}
	ip, ip2 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for _, c := range []struct {
		name   string
		limits tenants.Limits
		before []Entry
		next   Entry
		full   string // the refusal; empty when it is let in
	}{
		{"a dialect's own default", nil, []Entry{{Dialect: chat}, {Dialect: chat}}, Entry{Dialect: chat}, "The tenant has 2 connections open, which is the limit."},
		{"other dialects do not count by default", nil, []Entry{{Dialect: other}, {Dialect: other}}, Entry{Dialect: chat}, ""},
		{"nor are they limited", nil, []Entry{{Dialect: chat}, {Dialect: chat}}, Entry{Dialect: other}, ""},
		{"a limit that is set counts all", tenants.Limits{tenants.Connections: 2}, []Entry{{Dialect: chat}, {Dialect: other}}, Entry{Dialect: bots}, "The tenant has 2 connections open, which is the limit."},
		{"and lifts the default", tenants.Limits{tenants.Connections: 0}, []Entry{{Dialect: chat}, {Dialect: chat}}, Entry{Dialect: chat}, ""},
		{"an address", nil, []Entry{{Dialect: bots, IP: ip}, {Dialect: bots, IP: ip}}, Entry{Dialect: bots, IP: ip}, "Your address has 2 connections open, which is the limit."},
		{"another address", nil, []Entry{{Dialect: bots, IP: ip}, {Dialect: bots, IP: ip}}, Entry{Dialect: bots, IP: ip2}, ""},
		{"an address in another dialect", nil, []Entry{{Dialect: bots, IP: ip}, {Dialect: bots, IP: ip}}, Entry{Dialect: other, IP: ip}, ""},
		{"an address without a limit", tenants.Limits{tenants.ConnectionsPerIP: 0}, []Entry{{Dialect: bots, IP: ip}, {Dialect: bots, IP: ip}}, Entry{Dialect: bots, IP: ip}, ""},
		{"an agent", tenants.Limits{tenants.ConnectionsPerAgent: 1}, []Entry{{Dialect: chat, Agent: "ann"}}, Entry{Dialect: other, Agent: "ann"}, "The agent has 1 connections open, which is the limit."},
		{"another agent", tenants.Limits{tenants.ConnectionsPerAgent: 1}, []Entry{{Dialect: chat, Agent: "ann"}}, Entry{Dialect: other, Agent: "bob"}, ""},
		{"nobody known", tenants.Limits{tenants.ConnectionsPerAgent: 1}, []Entry{{Dialect: chat}, {Dialect: other}}, Entry{Dialect: other}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, r := newBook(t)
			r.set(c.limits)
			tenant := b.Tenant("acme")
			for _, e := range c.before {
				if err := tenant.Enter(e); err != nil {
					t.Fatal(err)
				}
			}
			err := tenant.Enter(c.next)
			if c.full == "" && err != nil || c.full != "" && (fault.CodeOf(err) != fault.LimitExceeded || fault.Message(err) != c.full) {
				t.Errorf("%v, want %q", err, c.full)
			}
			if err := b.Tenant("evil").Enter(c.next); err != nil {
				t.Errorf("another tenant is refused: %v", err)
			}
		})
	}
}

// TestTally closes the newest when a limit is lowered.
func TestTally(t *testing.T) {
	b, r := newBook(t)
	tenant, d := b.Tenant("acme"), &Dialect{Name: "agents"}
	var told []tenants.ID
	b.OnLowered(func(id tenants.ID) { told = append(told, id) })
	all := []Entry{{Dialect: d, Agent: "a"}, {Dialect: d, Agent: "b"}, {Dialect: d, Agent: "a"}, {Dialect: d, Agent: "c"}, {Dialect: d, Agent: "a"}}
	for _, e := range all {
		if err := tenant.Enter(e); err != nil {
			t.Fatal(err)
		}
	}
	kept := func() (s string) {
		tally := tenant.Tally()
		for _, e := range all {
			if tally.Keep(e) == nil {
				s += string(e.Agent)
			} else {
				s += "-"
			}
		}
		return s
	}
	for _, c := range []struct {
		limits tenants.Limits
		want   string
	}{
		{nil, "abaca"},
		{tenants.Limits{tenants.Connections: 3}, "aba--"},
		{tenants.Limits{tenants.ConnectionsPerAgent: 1}, "ab-c-"},
		{tenants.Limits{tenants.Connections: 3, tenants.ConnectionsPerAgent: 1}, "ab-c-"},
		{tenants.Limits{tenants.Connections: 5}, "abaca"},
	} {
		r.set(c.limits)
		if got := kept(); got != c.want {
			t.Errorf("%v keeps %s, want %s", c.limits, got, c.want)
		}
	}
	if len(told) != 4 {
		t.Errorf("told %d times", len(told))
	}
	r.set(tenants.Limits{tenants.Connections: 5, tenants.Runs: 1})
	if len(told) != 4 {
		t.Error("told of a change that no connection cares for")
	}
}

// TestPace sends at different speeds for ten seconds and counts what is let through.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		name            string
		every           time.Duration
		burst           int64
		passed, tooFast int
		flood           bool
	}{
		{"as fast as allowed", 100 * time.Millisecond, 1, 100, 0, false},
		{"twice as fast", 50 * time.Millisecond, 1, 109, 91, false}, // ten at once, then ten a second
		{"twice as fast, with a longer burst", 50 * time.Millisecond, 2, 119, 81, false},
		{"a flood", 5 * time.Millisecond, 1, 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, _ := newBook(t)
			m := b.Tenant("acme").Meter(&Dialect{PerSecond: 10, Burst: c.burst})
			passed, tooFast, flood := 0, 0, false
			for at := time.Duration(0); at < 10*time.Second; at += c.every {
				f, err := m.pace(int64(time.Hour+at), 10)
				if flood = flood || f; err == nil {
					passed++
				} else {
					tooFast++
				}
			}
			if flood != c.flood || !flood && (passed != c.passed || tooFast != c.tooFast) {
				t.Errorf("%d passed, %d were too fast, flood %t", passed, tooFast, flood)
			}
		})
	}
}

// TestRate is a limit that many share: what all of them get together is what the limit says.
func TestRate(t *testing.T) {
	b, _ := newBook(t)
	tenant := b.Tenant("acme")
	passed := 0
	for at := time.Duration(0); at < 10*time.Second; at += time.Millisecond {
		if tenant.pace(int64(time.Hour+at), 100, 50, 0) == nil {
			passed++
		}
	}
	if passed < 540 || passed > 550 { // fifty at once, then fifty a second
		t.Errorf("%d messages of 50 a second passed in 10 s", passed)
	}
	b, _ = newBook(t)
	tenant, passed = b.Tenant("acme"), 0
	for at := time.Duration(0); at < 10*time.Second; at += time.Millisecond {
		if tenant.pace(int64(time.Hour+at), 100, 0, 5000) == nil {
			passed++
		}
	}
	if passed < 540 || passed > 550 {
		t.Errorf("%d messages of 100 bytes passed at 5,000 bytes a second in 10 s", passed)
	}
	if err := tenant.pace(int64(2*time.Hour), 1<<20, 0, 5000); err != nil {
		t.Errorf("a message of more than a second's worth can never pass: %v", err)
	}
	wantCode(t, "after it", tenant.pace(int64(2*time.Hour+time.Minute), 1, 0, 5000), fault.RateLimited)
}

// TestRequestsSayHowLongTheyAre has requests lie about their length, which must not shut the tenant out.
func TestRequestsSayHowLongTheyAre(t *testing.T) {
	for _, length := range []int64{-1, 64<<10 + 1, 1 << 40, math.MaxInt64} {
		b, r := newBook(t)
		r.set(tenants.Limits{tenants.BytesPerSecond: 64 << 10})
		tenant := b.Tenant("acme")
		if err := tenant.Request(length); err != nil {
			t.Errorf("%d: %v", length, err)
		}
		if owed := time.Duration(tenant.bytes.due.Load() - b.clock()); owed < 0 || owed > time.Second {
			t.Errorf("%d bytes are owed for %s", length, owed)
		}
		wantCode(t, "the next one", tenant.Request(1<<10), fault.RateLimited)
	}
}

func TestTokens(t *testing.T) {
	b, r := newBook(t)
	tenant := b.Tenant("acme")
	if p := tenant.Tokens(1 << 20); p != 0 {
		t.Errorf("without a limit an answer pauses for %d", p)
	}
	r.set(tenants.Limits{tenants.TokensPerSecond: 100})
	if p := tenant.Tokens(100); p != 0 {
		t.Errorf("a second's worth pauses for %d", p)
	}
	if p := time.Duration(tenant.Tokens(50)); p < 400*time.Millisecond || p > 500*time.Millisecond {
		t.Errorf("half a second's worth more pauses for %s", p)
	}
}

func TestLimitsAreLive(t *testing.T) {
	b, r := newBook(t)
	r.set(tenants.Limits{tenants.MessageBytes: 100, tenants.Subscriptions: 3})
	tenant := b.Tenant("acme")
	m := tenant.Meter(&Dialect{Subscriptions: 10})
	if tenant.MessageBytes() != 100 || m.MaySubscribe(2, "%d") != nil || m.MaySubscribe(3, "%d") == nil {
		t.Error("limits that were set before are not in force")
	}
	r.set(tenants.Limits{tenants.MessageBytes: 0, tenants.MessagesPerSecond: 1, tenants.Runs: 1})
	if tenant.MessageBytes() != tenants.MaxMessageBytes || m.MaySubscribe(9, "%d") != nil || m.MaySubscribe(10, "%d") == nil {
		t.Error("limits that were changed are not in force")
	}
	if v := m.Take(1); v != (Verdict{}) {
		t.Error(v)
	}
	err := m.Take(1).Refused
	wantCode(t, "a second message", err, fault.RateLimited)
	if fault.Message(err) != "A connection may send 1 messages a second." || fault.Fix(err) == "" {
		t.Errorf("the refusal is %q, %q", fault.Message(err), fault.Fix(err))
	}
	if err := tenant.Begin(Run, tenants.Runs, 0, "answers under way"); err != nil {
		t.Error(err)
	}
	err = tenant.Begin(Run, tenants.Runs, 0, "answers under way")
	wantCode(t, "a second run", err, fault.LimitExceeded)
	tenant.End(Run)
	if err := tenant.Begin(Run, tenants.Runs, 0, "answers under way"); err != nil {
		t.Error(err)
	}
	r.set(nil)
	if tenant.MessageBytes() != 64<<10 || tenant.Begin(Run, tenants.Runs, 0, "") != nil {
		t.Error("defaults are not back")
	}
}

// TestMeterAllocatesNothing is what every message costs.
func TestMeterAllocatesNothing(t *testing.T) {
	b, r := newBook(t)
	r.set(tenants.Limits{tenants.MessagesPerSecond: 1 << 30, tenants.TenantMessagesPerSecond: 1 << 30, tenants.BytesPerSecond: 1 << 31})
	m := b.Tenant("acme").Meter(&Dialect{})
	if n := testing.AllocsPerRun(1000, func() {
		if v := m.Take(100); v.Refused != nil {
			t.Error(v.Refused)
		}
		_ = m.Tenant().MessageBytes()
	}); n != 0 {
		t.Errorf("a message costs %v allocations", n)
	}
}

// BenchmarkMeter is what all limits together cost a message.
func BenchmarkMeter(b *testing.B) {
	for name, limits := range map[string]tenants.Limits{
		"none": nil,
		"all":  {tenants.MessagesPerSecond: 1 << 30, tenants.TenantMessagesPerSecond: 1 << 30, tenants.BytesPerSecond: 1 << 31},
	} {
		b.Run(name, func(b *testing.B) {
			book, r := newBook(b)
			r.set(limits)
			tenant := book.Tenant("acme")
			b.ReportAllocs()
			m := tenant.Meter(&Dialect{})
			for b.Loop() {
				if v := m.Take(100); v.Refused != nil {
					b.Fatal(v.Refused)
				}
				_ = m.Tenant().MessageBytes()
			}
		})
	}
}
