//go:build !race

// The race detector allocates, and makes pools forget.

package agents

import (
	"testing"
	"time"
)

// TestFrameAllocations pins what a client's message costs in memory on its way in and its answer on its way out.
func TestFrameAllocations(t *testing.T) {
	text := []byte(`{"type":"message","id":"0000000001","content":"hello"}`)
	var room room
	if n := testing.AllocsPerRun(100, func() { _, _ = decode(room[:0], text) }); n > 1 { // the id
		t.Errorf("decode allocates %v times", n)
	}
	answers := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { answers = appendStored(answers[:0], "0000000001", time.Time{}, 7, false) }); n != 0 {
		t.Errorf("appendStored allocates %v times", n)
	}
}
