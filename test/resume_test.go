package test

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"parley/test/rig"
)

// TestResume has a reader lose its connection again and again, and the broker die now and then, while others write. With
// `since` it gets exactly what it missed: all of it, once, in order.
func TestResume(t *testing.T) {
	t.Parallel()
	const total, rounds = 1500, 12
	server := parley.Start(t, rig.Options{})
	acme := newTenant(t, server, "acme")
	addr := server.StableAddr()
	token := acme.token("reader")

	var writing sync.WaitGroup
	writing.Go(func() { writeAll(t, addr, acme.token("writer"), "general", total) })

	var got []rig.Frame
	since := "0"
	for round := range rounds {
		s := rig.Dial(t, addr, "/v1/ws?"+rig.Query("token", token, "channel_id", "general", "since", since))
		for range total / rounds {
			m, ok := s.TryMessage()
			if !ok {
				break
			}
			got = append(got, m)
		}
		if round%4 == 2 {
			server.Kill()
			server.Restart()
		}
		s.Drop()
		if len(got) > 0 {
			since = fmt.Sprint(got[len(got)-1].Seq())
		}
	}
	writing.Wait()
	s := rig.Dial(t, addr, "/v1/ws?"+rig.Query("token", token, "channel_id", "general", "since", since))
	for len(got) < total {
		got = append(got, s.Message())
	}
	checkOrder(t, got)
	s.Settle()
	if more := s.Pending(); len(more) > 0 {
		t.Errorf("%d messages more than were sent, the first is %s", len(more), more[0])
	}
}

// writeAll publishes the numbers below total, in order, on a connection that it makes again whenever it is lost, and
// sends whatever has no ACK once more under the same id.
func writeAll(t *testing.T, addr, token, channel string, total int) {
	for next := 0; next < total; {
		s, _ := rig.TryDial(t, addr, "/v1/ws?"+rig.Query("token", token, "channel_id", channel, "echo", "false"), nil)
		if s == nil {
			continue
		}
		for next < total {
			id := fmt.Sprint("n-", next)
			if s.TrySend(rig.Frame{"id": id, "type": "message", "content": next}) != nil {
				break
			}
			answer, ok := s.TryAnswer(id)
			if !ok {
				break
			}
			if answer.Type() == "ACK" {
				next++
			}
		}
		s.Drop()
	}
}

// TestSinceForms tries what `since` may be, in the query and in a subscribe frame.
func TestSinceForms(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	for i, c := range []struct {
		name  string
		since func(early, late rig.Frame) string
		want  []any
	}{
		{"none", func(_, _ rig.Frame) string { return "" }, []any{"live"}},
		{"the beginning", func(_, _ rig.Frame) string { return "0" }, []any{"early", "late", "live"}},
		{"a seq", func(early, _ rig.Frame) string { return fmt.Sprint(early.Seq()) }, []any{"late", "live"}},
		{"the last seq", func(_, late rig.Frame) string { return fmt.Sprint(late.Seq()) }, []any{"live"}},
		{"a time before", func(early, _ rig.Frame) string { return early.Time(t).Add(-time.Minute).Format(time.RFC3339) }, []any{"early", "late", "live"}},
		{"a time with a zone", func(early, _ rig.Frame) string {
			return early.Time(t).Add(-time.Minute).In(time.FixedZone("", 7200)).Format(time.RFC3339Nano)
		}, []any{"early", "late", "live"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			channel := fmt.Sprint("case-", i)
			alice := acme.agent("alice", channel, "echo", "false")
			_, early := alice.Publish("early")
			_, late := alice.Publish("late")
			since := c.since(early, late)
			bob, subscriber := acme.agent("bob", channel, "since", since), acme.agent("bob", "")
			ask := rig.Frame{"type": "subscribe", "channel_id": channel}
			if since != "" {
				ask["since"] = since
			}
			if got := subscriber.Ask(ask); got.Type() != "ACK" || got.Text("channel_id") != channel {
				t.Errorf("subscribe: %s", got)
			}
			alice.Publish("live")
			for _, s := range []*rig.Socket{bob, subscriber} {
				if got := contents(s.Messages(len(c.want))); !reflect.DeepEqual(got, c.want) {
					t.Errorf("received %v, want %v", got, c.want)
				}
			}
		})
	}
}

// TestGap: what retention has dropped is told, never passed over.
func TestGap(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{Args: []string{"--retention", "1s", "--dedupe-window", "1s"}})
	acme := newTenant(t, server, "acme")
	alice := acme.agent("alice", "general", "echo", "false")
	_, first := alice.Publish("first")
	_, last := alice.Publish("last")
	await(t, "retention to drop what there is", func() bool { return len(history(t, acme, "general")) == 0 })
	server.Kill() // what memory still holds fills a gap
	server.Restart()
	bob, subscriber := acme.agent("bob", "general", "since", "0"), acme.agent("bob", "")
	subscriber.Ask(rig.Frame{"type": "subscribe", "channel_id": "general", "since": first.Seq()})
	for from, s := range map[uint64]*rig.Socket{first.Seq(): bob, last.Seq(): subscriber} {
		want := rig.Frame{"type": "GAP", "channel_id": "general", "from": float64(from), "to": float64(last.Seq())}
		if got := s.Message(); !reflect.DeepEqual(got, want) {
			t.Errorf("received %s, want %s", got, want)
		}
	}
	acme.agent("alice", "general").Publish("live")
	for _, s := range []*rig.Socket{bob, subscriber} {
		if got := s.Message(); got["content"] != "live" {
			t.Errorf("after the gap came %s", got)
		}
	}
}
