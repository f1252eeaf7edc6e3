package test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"parley/test/rig"
)

// TestExplicitAck: what is received stays pending until it is acknowledged.
func TestExplicitAck(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	tellBob(t, acme, "one", "two")
	bob := acme.agent("bob", "", "ack", "explicit")
	first, second := bob.Message(), bob.Message()
	if got, want := contents([]rig.Frame{first, second}), []any{"one", "two"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("received %v, want %v", got, want)
	}
	if first["redelivered"] != nil {
		t.Errorf("the first delivery says %s", first)
	}
	bob.Send(rig.Frame{"type": "ACK", "message_id": first.ID()})
	bob.Settle()
	bob.Drop()

	bob = acme.agent("bob", "", "ack", "explicit")
	again := bob.Message()
	if again["content"] != "two" || again.ID() != second.ID() || again["redelivered"] != 1.0 {
		t.Errorf("after a lost connection: %s", again)
	}
	bob.Send(rig.Frame{"type": "NACK", "message_id": again.ID(), "delay_ms": 0})
	again = bob.Message()
	if again["content"] != "two" || again["redelivered"] != 2.0 {
		t.Errorf("after a NACK: %s", again)
	}
	bob.Send(rig.Frame{"type": "ACK", "message_id": again.ID()})
	bob.Settle()
	bob.Close()
	bob = acme.agent("bob", "", "ack", "explicit")
	bob.Settle()
	if got := bob.Pending(); len(got) > 0 {
		t.Errorf("acknowledged, and delivered again: %s", got)
	}
}

// TestPendingOutlivesTheBroker: what waits for an ACK waits for the agent, not for the process. How often it was delivered
// is not synced with every delivery, so a crash may take the count back.
func TestPendingOutlivesTheBroker(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme := newTenant(t, server, "acme")
	tellBob(t, acme, "important")
	open := func() *rig.Socket { return acme.agent("bob", "", "ack", "explicit", "ack_wait", "1") }
	id := open().Message().ID()
	server.Kill()
	server.Restart()
	if got := open().Message(); got.ID() != id || got["content"] != "important" {
		t.Errorf("after a crash: %s", got)
	}
}

// tellBob has alice send direct messages to bob.
func tellBob(t *testing.T, n tenant, contents ...string) {
	t.Helper()
	alice := n.agent("alice", "")
	for _, content := range contents {
		alice.PublishFrame(rig.Frame{"type": "message", "target": "bob", "content": content})
	}
}

// TestBadAcknowledgements answers what was not asked.
func TestBadAcknowledgements(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	tellBob(t, acme, "hello")
	bob := acme.agent("bob", "", "ack", "explicit")
	id := bob.Message().ID()
	for _, c := range []struct {
		frame rig.Frame
		want  refusal
	}{
		{rig.Frame{"type": "ACK"}, refusal{"INVALID_FORMAT", "The frame has no message_id."}},
		{rig.Frame{"type": "ACK", "message_id": 5}, noString("message_id")},
		{rig.Frame{"type": "ACK", "message_id": "nonesuch"}, refusal{"NOT_FOUND", `No message "nonesuch" waits for an answer.`}},
		{rig.Frame{"type": "ACK", "message_id": id, "seq": "x"}, refusal{"INVALID_FORMAT", "seq is the sequence of the message."}},
		{rig.Frame{"type": "NACK"}, refusal{"INVALID_FORMAT", "The frame has no message_id."}},
		{rig.Frame{"type": "NACK", "message_id": id, "delay_ms": -1}, refusal{"INVALID_FORMAT", "delay_ms is a number from 0 to 3600000."}},
		{rig.Frame{"type": "NACK", "message_id": id, "delay_ms": "soon"}, refusal{"INVALID_FORMAT", "delay_ms is a number from 0 to 3600000."}},
	} {
		c.frame["id"] = "bad"
		bob.Send(c.frame)
		checkError(t, bob.Next(), c.want, true)
	}
	bob.Send(rig.Frame{"type": "ACK", "message_id": id})
	bob.Settle()
}

// TestDurableSubscription keeps its place while nobody is connected, and shares its work.
func TestDurableSubscription(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme, evil := newTenant(t, server, "acme"), newTenant(t, server, "evil")
	open := func(n tenant, agent string) *rig.Socket {
		t.Helper()
		// No deadline passes here: what a connection leaves behind has to be given back when it ends.
		return n.agent(agent, "jobs", "durable", "pool", "ack", "explicit", "ack_wait", "3600")
	}
	first := open(acme, "worker-1")
	alice := acme.agent("alice", "jobs", "echo", "false")
	alice.Publish("a")
	m := first.Message()
	first.Send(rig.Frame{"type": "ACK", "message_id": m.ID()})
	first.Settle()
	first.Close()
	for i := range 20 { // nobody is there
		alice.Publish(i)
	}
	thief := open(evil, "worker-1")
	workers := []*rig.Socket{open(acme, "worker-1"), open(acme, "worker-2")}
	type job struct {
		worker int
		frame  rig.Frame
	}
	jobs := make(chan job, 100)
	for i, w := range workers {
		go func() {
			for {
				f, ok := w.TryMessage()
				if !ok {
					return
				}
				jobs <- job{i, f}
			}
		}()
	}
	seen := map[string]int{}
	for len(seen) < 20 {
		select {
		case j := <-jobs:
			seen[fmt.Sprint(j.frame["content"])]++
			workers[j.worker].Send(rig.Frame{"type": "ACK", "message_id": j.frame.ID()})
		case <-time.After(rig.Patience):
			t.Fatalf("only %v came", seen)
		}
	}
	for content, times := range seen {
		if times != 1 {
			t.Errorf("message %s was delivered %d times", content, times)
		}
	}
	thief.Settle()
	if got := thief.Pending(); len(got) > 0 {
		t.Errorf("another tenant's durable of the same name received %s", got)
	}
	for _, w := range workers {
		w.Drop()
	}
}
