//go:build !race

// The race detector allocates, and makes pools forget.

package acks

import (
	"testing"

	"parley/broker"
)

func TestPubAckAllocatesNothing(t *testing.T) {
	m := &broker.Arrival{Data: []byte(`{"stream":"CHANNELS","seq":1234567,"duplicate": true}`)}
	if n := testing.AllocsPerRun(100, func() { parsePubAck(m) }); n != 0 {
		t.Errorf("parsePubAck allocates %v times", n)
	}
}

// TestDedupeIDAllocatesOnce pins the header's value, which is all that an id may cost.
func TestDedupeIDAllocatesOnce(t *testing.T) {
	m := Message{Subject: "channel.news", Sender: "ann", ID: "0198b0a4-0000-7000-8000-000000000000"}
	secret := make([]byte, 32)
	if n := testing.AllocsPerRun(100, func() { m.dedupeID(secret) }); n > 2 {
		t.Errorf("dedupeID allocates %v times", n)
	}
}
