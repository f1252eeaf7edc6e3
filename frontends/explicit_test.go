package frontends

import (
	"fmt"
	"testing"

	"parley/channels"
)

func TestExplicitAcknowledgement(t *testing.T) {
	w := newWorld(t)
	ann := w.agent(t, "acme", "ann", "&channel_id=jobs&echo=false")
	send := func(id, to string) {
		t.Helper()
		ann.send(`{"id":"` + id + `","type":"message","content":1` + to + `}`)
		ann.expect("ACK:" + id)
	}
	bob := w.agent(t, "acme", "bob", "&channel_id=jobs&ack=explicit&durable=pool&max_deliveries=2")
	send("1", "")
	send("d", `,"target":"bob"`)
	got := bob.expect("message:1", "message:d")
	if got["message:1"]["redelivered"] != nil {
		t.Errorf("first delivery %v", got)
	}
	bob.send(`{"type":"ACK","message_id":"d"}`)
	bob.send(`{"type":"NACK","message_id":"1"}`)
	if f := bob.expect("message:1")["message:1"]; f["redelivered"] != 1.0 {
		t.Errorf("after a NACK %v", f)
	}
	bob.send(`{"id":"x","type":"ACK","message_id":"nothing"}`)
	if f := bob.expect("ERROR:x")["ERROR:x"]; f["code"] != "NOT_FOUND" {
		t.Errorf("ACK of nothing: %v", f)
	}
	bob.send(`{"type":"NACK","message_id":"1"}`) // the second and last delivery: a dead letter now
	send("2", "")
	if f := bob.next(); f["id"] != "2" {
		t.Errorf("after the last delivery %v", f)
	}
	acme, err := w.registry.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	space, err := w.edge.hub.Open(t.Context(), "acme", acme.Account)
	if err != nil {
		t.Fatal(err)
	}
	defer space.Release()
	var letters []channels.DeadLetter
	for len(letters) == 0 && err == nil { // the server gives the message up in its own time
		letters, err = space.DeadLetters(t.Context(), 0, 10)
	}
	if err != nil || len(letters) != 1 || letters[0].Place != "durable pool" || letters[0].Address.Channel != "jobs" || letters[0].Deliveries != 2 || letters[0].Message == nil {
		t.Fatalf("dead letters %+v, %v", letters, err)
	}
	if err := space.Replay(t.Context(), letters[0].Number); err != nil {
		t.Fatal(err)
	}
	if f := bob.expect("message:1")["message:1"]; f["channel_id"] != "jobs" {
		t.Errorf("replayed %v", f)
	}
	if letters, err := space.DeadLetters(t.Context(), 0, 10); err != nil || len(letters) != 0 {
		t.Errorf("after the replay %+v, %v", letters, err)
	}
	bob.conn.CloseNow()
	other := w.agent(t, "acme", "carol", "&channel_id=jobs&ack=explicit&durable=pool")
	if got := other.expect("message:2", "message:1"); got["message:2"]["redelivered"] != 1.0 {
		t.Errorf("what bob held: %v", got)
	}
	spy := w.agent(t, "evil", "bob", "&channel_id=jobs&ack=explicit&durable=pool&since=0")
	spy.send(`{"id":"p","type":"ping"}`)
	if f := spy.next(); f["message_id"] != "p" {
		t.Errorf("the other tenant got %v", f)
	}
}

// TestPlacesBeginWithTheirConnections: a place that is new misses nothing that is published once its connection is open.
func TestPlacesBeginWithTheirConnections(t *testing.T) {
	w := newWorld(t)
	ann := w.agent(t, "acme", "ann", "&channel_id=jobs&echo=false")
	for i := range 20 {
		bob := w.agent(t, "acme", "bob", fmt.Sprint("&channel_id=jobs&ack=explicit&durable=pool", i))
		id := fmt.Sprint("m", i)
		ann.send(`{"id":"` + id + `","type":"message","content":1}`)
		ann.expect("ACK:" + id)
		bob.expect("message:" + id)
		bob.conn.CloseNow()
	}
}
