package quota

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/fault"
	"parley/tenants"
)

// TestRefusalsPause has a tenant send more than it may: a second's worth of refusals is free, and then they wait.
func TestRefusalsPause(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits tenants.Limits
		passes int // at once
		free   int // refusals
		step   time.Duration
	}{
		{"a low limit", tenants.Limits{tenants.TenantMessagesPerSecond: 1}, 1, 100, 10 * time.Millisecond},
		{"a high limit", tenants.Limits{tenants.TenantMessagesPerSecond: 1000}, 1000, 1000, time.Millisecond},
		{"bytes", tenants.Limits{tenants.BytesPerSecond: 10}, 10, 100, 10 * time.Millisecond},
		{"bytes beside a high limit", tenants.Limits{tenants.BytesPerSecond: 10, tenants.TenantMessagesPerSecond: 200}, 10, 200, 5 * time.Millisecond},
		{"a connection's own", tenants.Limits{tenants.MessagesPerSecond: 1, tenants.TenantMessagesPerSecond: 1}, 1, 100000, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, r := newBook(t)
				r.set(c.limits)
				tenant := b.Tenant("acme")
				one, other := tenant.Meter(&Dialect{}), tenant.Meter(&Dialect{})
				for i := range c.passes {
					if v := one.Take(1); v != (Verdict{}) {
						t.Fatalf("message %d: %+v", i, v)
					}
				}
				if c.step == 0 {
					other = one
				}
				for i := range c.free {
					v := one.Take(1)
					wantCode(t, "too many", v.Refused, fault.RateLimited)
					if v.Pause != 0 {
						t.Fatalf("refusal %d pauses for %s", i, v.Pause)
					}
				}
				if c.step == 0 {
					return
				}
				for pause := c.step; pause <= time.Second; pause += c.step { // whichever connection
					if v := other.Take(1); v.Refused == nil || v.Flood || v.Pause != pause {
						t.Fatalf("%+v, want a pause of %s", v, pause)
					}
				}
				for range 1000 {
					if v := one.Take(1); v.Pause != time.Second {
						t.Fatalf("%+v, want the longest pause", v)
					}
				}
				<-time.After(2 * time.Second) // which is all that the tenant owes, however much it was refused
				for range c.passes {
					if v := one.Take(1); v != (Verdict{}) {
						t.Fatalf("after two seconds of silence: %+v", v)
					}
				}
				for i := range c.free {
					if v := one.Take(1); v.Refused == nil || v.Pause != 0 {
						t.Fatalf("after two seconds of silence refusal %d is %+v", i, v)
					}
				}
			})
		})
	}
}

// TestRefusalsArePaced has many connections of a tenant send as fast as they are read.
func TestRefusalsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const connections, allowed, seconds = 20, 200, 10
		b, r := newBook(t)
		r.set(tenants.Limits{tenants.TenantMessagesPerSecond: allowed})
		tenant := b.Tenant("acme")
		var passed, refused atomic.Int64
		var sending sync.WaitGroup
		for range connections {
			sending.Go(func() {
				m := tenant.Meter(&Dialect{})
				for b.clock() < seconds*second {
					v := m.Take(1)
					if v.Refused == nil {
						passed.Add(1)
						continue
					}
					refused.Add(1)
					<-time.After(v.Pause)
				}
			})
		}
		sending.Wait()
		const most = allowed*(seconds+1) + connections // each may have had one on its way
		if n := refused.Load(); n > most || n < allowed*seconds {
			t.Errorf("%d messages were refused in %d seconds, want %d at most", n, seconds, most)
		}
		if n := passed.Load(); n > allowed*(seconds+1) || n < allowed*seconds*9/10 {
			t.Errorf("%d messages passed in %d seconds, %d a second are allowed", n, seconds, allowed)
		}
	})
}
