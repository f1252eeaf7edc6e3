package channels

import (
	"context"
	"strconv"
	"sync"
	"testing"
)

// deaf is a socket that takes everything.
type deaf struct{}

func (deaf) Send([]byte) error                       { return nil }
func (deaf) AwaitBacklog(context.Context, int) error { return nil }
func (deaf) Gap(Address, Gap)                        {}

// tape is a socket that notes what it takes, without a lock: nobody may deliver to it while another does.
type tape struct {
	deaf
	text []byte
}

func (t *tape) Send(frames []byte) error {
	t.text = append(t.text, frames...)
	return nil
}

// TestManyHandsKeepTheOrder delivers batches to many members with the help of others, and to few without.
func TestManyHandsKeepTheOrder(t *testing.T) {
	t.Parallel()
	hub := &Hub{cfg: Config{Shards: 4}.withDefaults(), hands: make(chan *spread)}
	ctx, stop := context.WithCancel(t.Context())
	var helping sync.WaitGroup
	for range 3 {
		helping.Go(func() { hub.help(ctx) })
	}
	defer helping.Wait()
	defer stop()
	shard := newShard(hub, 0)
	for _, count := range []int{1, spreadFrom - 1, spreadFrom, 1000} {
		var members []*Subscription
		for range count {
			members = append(members, &Subscription{topic: &topic{}, sink: &tape{}})
		}
		var want []byte
		for seq := range uint64(100) {
			batch := strconv.AppendUint(nil, seq, 10)
			want = append(want, batch...)
			shard.deliver(members, batch, []entry{{seq: seq + 1, frame: batch}})
		}
		for i, m := range members {
			if got := m.sink.(*tape).text; string(got) != string(want) {
				t.Fatalf("member %d of %d got %s, want %s", i, count, got, want)
			}
		}
	}
}
