package channels

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"parley/broker"
	"parley/tenants"
)

// counter is a socket that counts.
type counter struct {
	deaf
	n *int
}

func (c counter) Send([]byte) error {
	*c.n++
	return nil
}

// lanes is a shard that a test drives, with a topic for each tenant.
type lanes struct {
	hub   *Hub
	shard *shard
}

func newLanes() *lanes {
	hub := &Hub{cfg: Config{Frame: func(dst, m []byte) []byte { return append(dst, m...) }, Shards: 1}.withDefaults(), log: slog.New(slog.DiscardHandler)}
	l := &lanes{hub, newShard(hub, 0)}
	hub.shards = []*shard{l.shard}
	return l
}

// tenant returns a topic with so many members, and where what they were sent is counted in pieces.
func (l *lanes) tenant(id tenants.ID, members int) (*topic, *int) {
	space := &Space{hub: l.hub, tenant: id, lanes: []*lane{{in: l.shard.live}}}
	space.lanes[0].space = space
	to := &topic{space: space, shard: l.shard, addr: Address{Tenant: id, Channel: "news"}, sub: &broker.LinkSub{}}
	n := new(int)
	for range members {
		to.members = append(to.members, &Subscription{topic: to, sink: counter{n: n}})
	}
	l.shard.topics[to.sub] = to
	return to, n
}

// publish leaves copies of messages in the tenant's lane.
func (l *lanes) publish(t testing.TB, to *topic, from, count int) {
	t.Helper()
	_, stored := sample(t)
	for seq := from; seq < from+count; seq++ {
		header := fmt.Sprintf("NATS/1.0\r\nNats-Sequence: %d\r\nNats-Time-Stamp: 2026-01-01T00:00:00Z\r\nNats-Last-Sequence: %d\r\n\r\n", seq, seq-1)
		to.space.lanes[0].Take(&broker.Arrival{Sub: to.sub, Subject: []byte("live.channel.news"), Header: []byte(header), Data: stored.Data})
	}
}

// TestTenantsTakeTurns has a tenant fill its lane before another one publishes a message.
func TestTenantsTakeTurns(t *testing.T) {
	t.Parallel()
	l := newLanes()
	noisy, _ := l.tenant("noisy", 100)
	quiet, heard := l.tenant("quiet", 1)
	l.publish(t, noisy, 1, liveQueue)
	l.publish(t, quiet, 1, 1)
	turns := 0
	for ; *heard == 0; turns++ {
		if turns == 2 {
			t.Fatal("the quiet tenant still waits after two turns")
		}
		l.shard.gather()
	}
	if most := uint64(quantum/101 + 1); noisy.last > most {
		t.Errorf("the noisy tenant was served %d messages before the quiet one's only one; a turn has %d", noisy.last, most)
	}
	for noisy.last < liveQueue {
		l.shard.gather()
	}
	if in := l.shard.live; in.held != 0 || len(in.turns) != 0 || noisy.space.lanes[0].waiting {
		t.Errorf("an empty intake holds %d bytes, %d lanes", in.held, len(in.turns))
	}
}

// TestLargeFanOutLetsTurnsPass weighs a tenant by its deliveries, not by its messages.
func TestLargeFanOutLetsTurnsPass(t *testing.T) {
	t.Parallel()
	l := newLanes()
	wide, _ := l.tenant("wide", 10*quantum)
	narrow, _ := l.tenant("narrow", 1)
	l.publish(t, wide, 1, 100)
	l.publish(t, narrow, 1, liveQueue)
	for narrow.last < liveQueue {
		l.shard.gather()
	}
	if wide.last > 2 {
		t.Errorf("the wide tenant was served %d messages to %d members meanwhile", wide.last, len(wide.members))
	}
	for wide.last < 100 {
		l.shard.gather()
	}
}

// TestOneTenantAlone is not held up by turns that nobody else wants.
func TestOneTenantAlone(t *testing.T) {
	t.Parallel()
	l := newLanes()
	alone, pieces := l.tenant("alone", 100)
	for seq := 1; l.shard.mixed > 0 || seq == 1; seq++ {
		l.publish(t, alone, seq, 1)
		l.shard.gather()
	}
	from := int(alone.last)
	*pieces = 0
	l.publish(t, alone, from+1, liveQueue)
	l.shard.gather()
	if int(alone.last) != from+liveQueue || *pieces > 100*liveQueue/10 {
		t.Errorf("one turn brought %d messages of %d in %d pieces", int(alone.last)-from, liveQueue, *pieces)
	}
}

// TestFullLaneHarmsItsTenantOnly drops what does not fit, and nobody else's.
func TestFullLaneHarmsItsTenantOnly(t *testing.T) {
	t.Parallel()
	l := newLanes()
	life, end := context.WithCancel(t.Context())
	end() // no repair reads anything
	noisy, _ := l.tenant("noisy", 1)
	quiet, heard := l.tenant("quiet", 1)
	noisy.space.life, l.hub.life = life, life
	l.publish(t, noisy, 1, liveQueue+1)
	l.publish(t, quiet, 1, 1)
	if n := l.hub.counts.dropped.Value(); n != 1 {
		t.Errorf("%d copies were dropped", n)
	}
	l.shard.live.held = heldBytes
	l.publish(t, quiet, 2, 100)
	if n := l.hub.counts.dropped.Value(); n != 1 {
		t.Errorf("a quiet tenant's copies were dropped because others hold much")
	}
	for quiet.last < 101 {
		l.shard.gather()
	}
	if *heard == 0 {
		t.Error("nothing was delivered")
	}
}
