//go:build !race

// The race detector allocates, and makes pools forget.

package channels

import (
	"testing"
)

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
