package test

import (
	"fmt"
	"sync"
	"testing"

	"parley/test/rig"
)

// TestOrder has many senders write into one channel as fast as they can, without waiting for ACKs, agents and a service
// among them: every reader gets everything once, in one order for all, and each sender's in the order it was sent.
func TestOrder(t *testing.T) {
	t.Parallel()
	const senders, each = 4, 300
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	readers := []*rig.Socket{acme.agent("reader", "general"), acme.agent("reader", "general"), acme.agent("late", "general")}
	service := acme.service("backend")

	var writing sync.WaitGroup
	for s := range senders {
		socket := acme.agent(fmt.Sprint("sender-", s), "general", "echo", "false")
		writing.Go(func() {
			for i := range each {
				if err := socket.TrySend(rig.Frame{"id": fmt.Sprint(i), "type": "message", "content": i}); err != nil {
					t.Errorf("send: %v", err)
					return
				}
			}
			last := uint64(0)
			for i := range each {
				ack, ok := socket.TryAnswer(fmt.Sprint(i))
				if !ok || ack.Type() != "ACK" || ack.Seq() <= last {
					t.Errorf("sender %d, message %d: ACK %s after seq %d", s, i, ack, last)
					return
				}
				last = ack.Seq()
			}
		})
	}
	writing.Go(func() {
		for i := range each {
			if err := service.Publish("channel.general", fmt.Appendf(nil, `{"type":"message","agent_id":"x","content":%d}`, i)); err != nil {
				t.Errorf("publish: %v", err)
			}
		}
		service.Sync()
	})
	writing.Wait()

	var first []rig.Frame
	for i, reader := range readers {
		got := reader.Messages((senders + 1) * each)
		checkOrder(t, got)
		if i == 0 {
			first = got
			continue
		}
		for j, m := range got {
			if m.Seq() != first[j].Seq() {
				t.Fatalf("reader %d has seq %d at place %d, the first has %d", i, m.Seq(), j, first[j].Seq())
			}
		}
	}
}

// checkOrder expects rising sequences, and of each sender the numbers from 0 on without a hole.
func checkOrder(t *testing.T, messages []rig.Frame) {
	t.Helper()
	last, next := uint64(0), map[string]int{}
	for _, m := range messages {
		if m.Seq() <= last {
			t.Fatalf("seq %d comes after %d", m.Seq(), last)
		}
		last = m.Seq()
		sender := m.Text("agent_id")
		if n, ok := m["content"].(float64); !ok || int(n) != next[sender] {
			t.Fatalf("sender %s: message %v where %d should be", sender, m["content"], next[sender])
		}
		next[sender]++
	}
}
