//go:build !race

// The race detector allocates, and makes pools forget.

package channels

import "testing"

// TestHotPathAllocations pins what a message costs in memory, however many it is delivered to: its stored form, and the
// name of its sender.
func TestHotPathAllocations(t *testing.T) {
	m, stored := sample(t)
	if n := testing.AllocsPerRun(100, func() { m.encode() }); n != 1 {
		t.Errorf("encode allocates %v times", n)
	}
	b := make([]byte, 0, 1<<10)
	if n := testing.AllocsPerRun(100, func() { b, _ = appendDelivery(b[:0], m.To, stored) }); n > 2 {
		t.Errorf("appendDelivery allocates %v times", n)
	}
}

// TestDeliveryAllocatesNothing compares a message to one subscriber with a message to a thousand.
func TestDeliveryAllocatesNothing(t *testing.T) {
	_, stored := sample(t)
	fanOut := func(subscribers int) float64 {
		hub := &Hub{cfg: Config{Frame: func(dst, m []byte) []byte { return append(dst, m...) }}.withDefaults()}
		shard := newShard(hub, 0)
		to := &topic{space: &Space{hub: hub}, shard: shard, addr: Address{Tenant: "acme", Channel: "news"}, last: stored.Seq}
		for range subscribers {
			to.members = append(to.members, &Subscription{topic: to, sink: deaf{}})
		}
		return testing.AllocsPerRun(1000, func() {
			stored.Seq++
			to.take(stored, stored.Seq-1)
			shard.flush()
		})
	}
	if one, many := fanOut(1), fanOut(1000); many > one+1 {
		t.Errorf("%v allocations to one subscriber, %v to a thousand", one, many)
	}
}
