package test

import (
	"fmt"
	"testing"

	"parley/test/rig"
)

// TestSlowReader: one that does not read is cut off, holds nobody up, and misses nothing when it resumes.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const total = 350 // of 60 KB each: more than all buffers on the way hold
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	token := acme.token("slow")
	query := func(since string) string {
		return "/v1/ws?" + rig.Query("token", token, "channel_id", "general", "since", since)
	}
	slow := rig.DialStuck(t, acme.Addr(), query(""))
	quick, writer := acme.agent("quick", "general"), acme.agent("writer", "general", "echo", "false")
	padding := long(60_000)
	for i := range total {
		writer.PublishFrame(rig.Frame{"type": "message", "content": i, "padding": padding})
	}
	checkOrder(t, quick.Messages(total))

	slow.Unstick()
	var got []rig.Frame
	for {
		m, ok := slow.TryMessage()
		if !ok {
			break
		}
		got = append(got, m)
	}
	// The close frame may not fit behind what fills the buffers, and is then lost with the connection.
	if code, reason := slow.Ended(); code != 1013 && code != -1 {
		t.Errorf("the slow reader's connection was closed with %d %q, want 1013", code, reason)
	}
	if len(got) == 0 || len(got) == total {
		t.Fatalf("the slow reader received %d of %d: the test proves nothing", len(got), total)
	}
	again := rig.Dial(t, acme.Addr(), query(fmt.Sprint(got[len(got)-1].Seq())))
	got = append(got, again.Messages(total-len(got))...)
	checkOrder(t, got)
}
