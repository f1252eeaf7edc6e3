//go:build !race

// The race detector allocates, and makes pools forget.

package rawjson

import (
	"testing"
)

func TestObjectDoesNotAllocate(t *testing.T) {
	text := []byte(`{"id":"1","type":"message","content":{"a":[1,2,"x"]},"tenant_id":"acme","agent_id":"ann","channel_id":"c","timestamp":"2026-11-21T13:00:00.000Z"}`)
	room := make([]Member, 0, 16)
	if n := testing.AllocsPerRun(100, func() { room, _ = Object(room[:0], text) }); n != 0 {
		t.Errorf("Object allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _ = room[1].Is("message") }); n != 0 {
		t.Errorf("Is allocates %v times", n)
	}
}
