package channels

import (
	"bytes"
	"testing"
	"time"

	"parley/broker"
	"parley/tenants"
)

// fill publishes messages of a thousand bytes, as services do, and returns the sequence of the last.
func fill(t *testing.T, s *Space, name string, n int) (last uint64) {
	t.Helper()
	text := bytes.Repeat([]byte("x"), 1000-len("channel.")-len(name)) // a message counts with its subject
	for range n {
		ack, err := s.conn.JetStream().Publish(t.Context(), "channel."+name, text)
		if err != nil {
			t.Fatal(err)
		}
		last = ack.Sequence
	}
	return last
}

// TestBytesOfChannels bounds channels by their bytes, also when others have removed messages meanwhile.
func TestBytesOfChannels(t *testing.T) {
	n := startNode(t, t.TempDir(), Config{})
	acme, _ := n.tenant(t, "acme")
	all := tenants.Policies{{Pattern: "few.>", Bytes: 10_000}, {Pattern: "long", Bytes: 10}}
	trimmer := &trimmer{sizes: map[broker.Name]*size{}}
	trim := func(counts map[broker.Name]uint64) {
		t.Helper()
		if err := trimmer.trim(t.Context(), acme.conn, all, time.Now()); err != nil {
			t.Fatal(err)
		}
		wantCounts(t, acme, counts)
		for name, s := range trimmer.sizes {
			if messages := s.messages(); messages != counts[name] || s.bytes != int64(messages)*1000 || len(s.pieces) > int(messages) {
				t.Errorf("%s is thought to have %d messages of %d bytes in %d pieces", name, messages, s.bytes, len(s.pieces))
			}
		}
	}
	fill(t, acme, "few.a", 300)
	fill(t, acme, "few.b", 7)
	fill(t, acme, "long", 2)
	fill(t, acme, "kept", 20)
	trim(map[broker.Name]uint64{"few.a": 10, "few.b": 7, "long": 1, "kept": 20})
	fill(t, acme, "few.b", 2)
	trim(map[broker.Name]uint64{"few.a": 10, "few.b": 9, "long": 1})
	fill(t, acme, "few.b", 5)
	trim(map[broker.Name]uint64{"few.a": 10, "few.b": 10, "long": 1})

	// Somebody else removes from the beginning, in the middle, and all.
	last := fill(t, acme, "few.a", 1)
	if err := acme.conn.Purge(t.Context(), broker.Channels, "channel.few.a", 0, 4); err != nil {
		t.Fatal(err)
	}
	trim(map[broker.Name]uint64{"few.a": 4, "few.b": 10, "long": 1})
	stream, err := acme.conn.JetStream().Stream(t.Context(), string(broker.Channels))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, acme, "few.a", 1)
	if err := stream.DeleteMsg(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	trim(map[broker.Name]uint64{"few.a": 4, "few.b": 10, "long": 1})
	if _, err := acme.Purge(t.Context(), "few.a"); err != nil {
		t.Fatal(err)
	}
	fill(t, acme, "few.a", 12)
	trim(map[broker.Name]uint64{"few.a": 10, "few.b": 10, "long": 1})
}

// TestSizesAreSmall keeps a few numbers of a channel that has many messages.
func TestSizesAreSmall(t *testing.T) {
	var s size
	for seq := range uint64(100_000) {
		s.add(seq+1, 100, 10_000_000/pieces)
	}
	if len(s.pieces) != pieces || s.bytes != 10_000_000 || s.messages() != 100_000 {
		t.Errorf("%d pieces, %d bytes, %d messages", len(s.pieces), s.bytes, s.messages())
	}
}

// TestClosedTenantsAreTrimmed has a service publish while nobody is connected to a tenant.
func TestClosedTenantsAreTrimmed(t *testing.T) {
	known := []tenants.Tenant{{ID: "acme", State: tenants.Active, Policies: tenants.Policies{{Pattern: "few", Messages: 2}, {Pattern: "small", Bytes: 3000}}}, {ID: "evil"}}
	n := startNode(t, t.TempDir(), Config{Tenants: func() []tenants.Tenant { return known }})
	acme, account := n.tenant(t, "acme")
	known[0].Account = account
	fill(t, acme, "few", 5)
	fill(t, acme, "small", 5)
	if all := n.hub.closedTenants(); len(all) != 0 {
		t.Errorf("%v is not open", all)
	}
	n.hub.Drop("acme")
	all := n.hub.closedTenants()
	if len(all) != 1 || all[0].tenant != "acme" {
		t.Fatalf("%v are not open", all)
	}
	n.hub.trimClosed(all, time.Now())
	wantCounts(t, n.open(t, "acme", account), map[broker.Name]uint64{"few": 2, "small": 3})
}
