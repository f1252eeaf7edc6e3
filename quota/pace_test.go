package quota

import (
	"slices"
	"testing"
	"time"

	"parley/broker"
	"parley/tenants"
)

// sender is a service that sends so many messages of ten bytes with every look.
type sender struct {
	key     string
	eachFor time.Duration // Zero means that it never sends
	until   time.Duration // Zero means to the end, or until it is cut off
}

// TestServicePace lets services send for a minute and says who is cut off, when, and for how long.
func TestServicePace(t *testing.T) {
	const ms = time.Millisecond
	noisy, quiet, worker := sender{"noisy", ms, 0}, sender{"quiet", 500 * ms, 0}, sender{"worker", ms, 0}
	for _, c := range []struct {
		name            string
		messages, bytes int64
		all             []sender
		ended           int64 // messages of connections that are gone, with every look
		limit           tenants.Limit
		cut             []string
		at, owed        time.Duration // about
	}{
		{"as fast as allowed", 1000, 0, []sender{noisy}, 0, "", nil, 0, 0},
		{"twice as fast", 500, 0, []sender{noisy}, 0, tenants.TenantMessagesPerSecond, []string{"noisy"}, 5 * time.Second, 5 * time.Second},
		{"a flood", 10, 0, []sender{noisy}, 0, tenants.TenantMessagesPerSecond, []string{"noisy"}, 250 * ms, 25 * time.Second},
		{"a quiet one beside it", 10, 0, []sender{noisy, quiet}, 0, tenants.TenantMessagesPerSecond, []string{"noisy"}, 250 * ms, 25 * time.Second},
		{"a burst of five seconds", 10, 0, []sender{{"burst", 5 * ms, 250 * ms}}, 0, "", nil, 0, 0},
		{"bytes", 0, 1000, []sender{noisy}, 0, tenants.BytesPerSecond, []string{"noisy"}, 750 * ms, 6 * time.Second},
		{"workers are for another limit", 10, 0, []sender{worker}, 0, "", nil, 0, 0},
		{"all of them a little", 100, 0, []sender{{"a", 16 * ms, 0}, {"b", 16 * ms, 0}}, 0, tenants.TenantMessagesPerSecond, []string{"a", "b"}, 19 * time.Second, 5 * time.Second},
		{"those who come and go", 100, 0, []sender{quiet}, 500, tenants.TenantMessagesPerSecond, nil, 500 * ms, 10 * time.Second},
		{"far too much", 1, 0, []sender{noisy}, 0, tenants.TenantMessagesPerSecond, []string{"noisy"}, 250 * ms, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &pace{perSecond: c.messages, bytesPerSecond: c.bytes, workers: map[string]bool{"worker": true}}
			start := int64(time.Hour)
			for at := guardEvery; at <= time.Minute; at += guardEvery {
				sent := broker.Traffic{Messages: c.ended, Bytes: 10 * c.ended}
				for _, s := range c.all {
					n := int64(0)
					if s.until == 0 || at <= s.until {
						n = int64(at/s.eachFor) - int64((at-guardEvery)/s.eachFor)
					}
					sent.Services = append(sent.Services, broker.Sent{Service: broker.Service{UserKey: s.key}, Messages: n, Bytes: 10 * n})
				}
				var cut []string
				now := start + int64(at)
				for _, s := range p.judge(now, int64(guardEvery), sent) {
					cut = append(cut, s.UserKey)
				}
				if p.over == "" {
					continue
				}
				owed := p.owed(now)
				if p.over != c.limit || !slices.Equal(cut, c.cut) || at < c.at || at > c.at+c.at/4 || owed < c.owed-500*ms || owed > c.owed+1500*ms {
					t.Errorf("%v were cut off for %s after %s and for %s", cut, p.over, at, owed)
				}
				p.judge(now+int64(owed), owed.Nanoseconds(), broker.Traffic{})
				if !p.settled(now + int64(owed)) {
					t.Error("they are kept out for ever")
				}
				return
			}
			if c.limit != "" {
				t.Error("nobody was cut off")
			}
		})
	}
}

func TestWorkersAreNotServices(t *testing.T) {
	all := workersOf(tenants.Tenant{Creds: []tenants.Creds{
		{UserKey: "service"},
		{UserKey: "worker", Queue: "ai"},
		{UserKey: "tools", Queue: "ai", Publish: []string{"tool.>"}},
		{UserKey: "both", Queue: "ai", Publish: []string{"tool.x", "channel.>"}},
	}})
	if all["service"] || !all["worker"] || !all["tools"] || all["both"] {
		t.Errorf("%v", all)
	}
}
