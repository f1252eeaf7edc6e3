package acks

import (
	"runtime"
	"testing"

	"parley/broker"
)

// inbox is a Taker that keeps what it is sent.
type inbox chan string

func (i inbox) Encode(d Delivery) (id string, frame []byte) { return string(d.Data), d.Data }

func (i inbox) Send(frame []byte) error {
	i <- string(frame)
	return nil
}

// TestClosingUsesNoDeliveriesUp: what comes while a ledger closes is given back once, when it has closed, and so goes to
// the next one of the place instead of coming back until it is a dead letter.
func TestClosingUsesNoDeliveriesUp(t *testing.T) {
	b := setup(t)
	to := broker.ChannelSubject("jobs")
	terms := Terms{Stream: broker.Channels, Subject: to, Name: "d=pool=jobs"}
	closing, err := OpenLedger(t.Context(), b.conn, terms, inbox(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := closing.Start(); err != nil {
		t.Fatal(err)
	}
	close(closing.closed) // as Close begins; the place does not know of it yet
	got := make(receipts, 1)
	if err := b.publisher(t, Config{}).Publish(t.Context(), Message{Subject: to, Data: []byte("a")}, got); err != nil {
		t.Fatal(err)
	}
	<-got
	for came := false; !came; runtime.Gosched() {
		closing.mu.Lock()
		came = len(closing.late) > 0
		closing.mu.Unlock()
	}
	closing.end()
	next := make(inbox, 1)
	l, err := OpenLedger(t.Context(), b.conn, terms, next)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	if text := <-next; text != "a" {
		t.Errorf("got %q", text)
	}
	place, err := openPlace(t.Context(), b.conn, terms)
	if err != nil {
		t.Fatal(err)
	}
	if n := place.CachedInfo().Delivered.Consumer; n != 2 {
		t.Errorf("delivered %d times, want once here and once there", n)
	}
}
