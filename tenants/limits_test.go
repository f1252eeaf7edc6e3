package tenants

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
)

func TestParseLimits(t *testing.T) {
	value := func(v int64) *int64 { return &v }
	for _, good := range []struct {
		text string
		want *int64
	}{
		{"connections=50", value(50)},
		{"connections=0", value(0)},
		{"connections=none", value(0)},
		{"connections=default", nil},
		{"message_bytes=64KiB", value(64 << 10)},
		{"message_bytes=262144", value(256 << 10)},
		{"message_bytes=100B", value(100)},
		{"storage_bytes=2GiB", value(2 << 30)},
		{"storage_bytes=1TiB", value(1 << 40)},
		{"storage_bytes=3MiB", value(3 << 20)},
		{"history_age=7d", value(7 * 24 * 3600)},
		{"history_age=12h", value(12 * 3600)},
		{"history_age=30m", value(1800)},
		{"history_age=90s", value(90)},
		{"history_age=5", value(5)},
	} {
		c, err := ParseLimits([]string{good.text})
		if err != nil || len(c) != 1 {
			t.Errorf("%s: %v, %v", good.text, c, err)
			continue
		}
		for _, got := range c {
			if (got == nil) != (good.want == nil) || got != nil && *got != *good.want {
				t.Errorf("%s is %v", good.text, got)
			}
		}
	}
	for _, bad := range [][]string{
		{"connections"},
		{"=1"},
		{"connection=1"},
		{"Connections=1"},
		{"connections=-1"},
		{"connections=1.5"},
		{"connections=1KiB"},
		{"connections="},
		{"connections=9999999999"},
		{"connections= 1"},
		{"message_bytes=257KiB"},
		{"message_bytes=64kb"},
		{"storage_bytes=9999999TiB"},
		{"storage_bytes=2PiB"},
		{"history_age=1y"},
		{"history_age=1h30m"},
		{"history_age=9999999999999999999"},
		{"connections=1", "connections=2"},
		{"connections=1", "nonsense=2"},
		{"connections=0x10"},
		{"runs=KiB"},
	} {
		c, err := ParseLimits(bad)
		if fault.CodeOf(err) != fault.InvalidFormat {
			t.Errorf("%q: %v, %v", bad, c, err)
		}
	}
	_, err := ParseLimits([]string{"nonsense=1"})
	const names = "The limits are connections, connections_per_agent, connections_per_ip, messages_per_second, tenant_messages_per_second, " +
		"bytes_per_second, message_bytes, channels, subscriptions, storage_bytes, history_age, runs, tokens_per_second, rooms, participants."
	if fault.Fix(err) != names {
		t.Errorf("an unknown name is answered %q", fault.Fix(err))
	}
}

func TestLimitsReadBackWhatTheyShow(t *testing.T) {
	for _, info := range AllLimits() {
		for _, v := range []int64{0, 1, 59, 60, 90, 1024, 1500, 3600, 64 << 10, 86400} {
			got, err := info.parse(info.Text(v))
			if err != nil || got != v {
				t.Errorf("%s: %d is shown as %q, which is %d, %v", info.Limit, v, info.Text(v), got, err)
			}
		}
	}
}

func TestUpdate(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	ctx := t.Context()
	changes, err := ParseLimits([]string{"connections=7", "runs=0"})
	if err != nil {
		t.Fatal(err)
	}
	acme, created, err := r.Create(ctx, Spec{ID: "acme", Limits: changes})
	if err != nil || !created || !maps.Equal(acme.Limits, Limits{Connections: 7, Runs: 0}) {
		t.Fatalf("created %+v, %v", acme, err)
	}
	if _, created, err := r.Create(ctx, Spec{ID: "acme", Limits: changes}); err != nil || created {
		t.Errorf("created again: %t, %v", created, err)
	}
	_, _, err = r.Create(ctx, Spec{ID: "acme", Limits: LimitChanges{Runs: nil}})
	wantCode(t, "other limits", err, fault.AlreadyExists)

	name, five := "Acme", int64(5)
	seen := make(chan Tenant, 8)
	defer r.Changes(func(t Tenant) { seen <- t })()
	acme, err = r.Update(ctx, "acme", Change{Name: &name, Limits: LimitChanges{Connections: nil, MessagesPerSecond: &five}})
	if err != nil || acme.Name != "Acme" || acme.State != Active || !maps.Equal(acme.Limits, Limits{Runs: 0, MessagesPerSecond: 5}) {
		t.Errorf("updated %+v, %v", acme, err)
	}
	if got, err := r.Get("acme"); err != nil || !maps.Equal(got.Limits, acme.Limits) {
		t.Errorf("after the update: %+v, %v", got, err)
	}
	if len(seen) == 0 {
		t.Error("nobody was told")
	}
	if again, err := r.Update(ctx, "acme", Change{Name: &name}); err != nil || again.Revision != acme.Revision {
		t.Errorf("an update that changes nothing: %+v, %v", again, err)
	}
	if _, err := r.Suspend(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	if s, err := r.Update(ctx, "acme", Change{Limits: LimitChanges{StorageBytes: &five}}); err != nil || s.State != Suspended {
		t.Errorf("a suspended tenant is %s after an update, %v", s.State, err)
	}
	_, err = r.Update(ctx, "nobody", Change{Name: &name})
	wantCode(t, "unknown", err, fault.NotFound)
	_, err = r.Update(ctx, "acme", Change{Limits: LimitChanges{"nonsense": &five}})
	wantCode(t, "unknown limit", err, fault.InvalidFormat)
	negative := int64(-1)
	_, err = r.Update(ctx, "acme", Change{Limits: LimitChanges{Runs: &negative}})
	wantCode(t, "negative limit", err, fault.InvalidFormat)
}

func TestLimitsOfTheAccount(t *testing.T) {
	e := mustEngine(t, t.TempDir(), "127.0.0.1:0")
	r := mustRegistry(t, e)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	acme := mustCreate(t, r, "acme")
	conn, err := e.Acquire(ctx, acme.Account)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if err := conn.Ensure(ctx, broker.Channels); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn.NATS())
	if err != nil {
		t.Fatal(err)
	}
	age := func() time.Duration {
		s, err := js.Stream(ctx, string(broker.Channels))
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().Config.MaxAge
	}
	usual := age()
	update := func(text ...string) {
		t.Helper()
		changes, err := ParseLimits(text)
		if err == nil {
			_, err = r.Update(ctx, "acme", Change{Limits: changes})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	update("history_age=1h", "storage_bytes=64KiB", "connections=1")
	if got := age(); got != time.Hour {
		t.Errorf("messages are kept for %s", got)
	}
	big := make([]byte, 50<<10)
	if _, err := js.Publish(ctx, "channel.a", big); err != nil {
		t.Errorf("below the limit of storage: %v", err)
	}
	if _, err := js.Publish(ctx, "channel.a", big); err == nil {
		t.Error("more was stored than the tenant may")
	}
	creds, _, err := e.Creds(t.Context(), acme.Account, broker.CredsRequest{Name: "svc", Subscribe: []string{"channel.>"}})
	if err != nil {
		t.Fatal(err)
	}
	var services []*nats.Conn
	defer func() {
		for _, nc := range services {
			nc.Close()
		}
	}()
	refused := false
	for range 40 {
		nc, err := nats.Connect(e.ServicesURL(), nats.UserCredentialBytes(creds), nats.NoReconnect())
		if err != nil {
			refused = true
			break
		}
		services = append(services, nc)
	}
	if !refused {
		t.Error("any number of services may connect")
	}
	update("history_age=default", "storage_bytes=0")
	if got := age(); got != usual {
		t.Errorf("by default messages are kept for %s", got)
	}
	if _, err := js.Publish(ctx, "channel.a", big); err != nil {
		t.Errorf("after the limit of storage was lifted: %v", err)
	}
	update("history_age=none")
	if got := age(); got != 0 {
		t.Errorf("without a limit messages are kept for %s", got)
	}
}
