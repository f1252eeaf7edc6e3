package test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/test/rig"
)

// deadLetter is one as `deadletter list --json` prints it.
type deadLetter struct {
	Number     uint64
	Place      string
	Channel    string `json:"channel_id"`
	Target     string
	Deliveries int
	Message    rig.Frame
}

// deadLetters lists them, waiting until there are n: the broker gives a message up in its own time.
func (n tenant) deadLetters(want int) []deadLetter {
	n.t.Helper()
	var list struct {
		Letters []deadLetter `json:"dead_letters"`
	}
	for deadline := time.Now().Add(rig.Patience); ; {
		if err := json.Unmarshal([]byte(n.MustCLI("deadletter", "list", "--tenant", n.id, "--json")), &list); err != nil {
			n.t.Fatal(err)
		}
		if len(list.Letters) == want {
			return list.Letters
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("%d dead letters did not come: %+v", want, list.Letters)
		}
	}
}

// TestDeadLetters: what is never acknowledged ends on a list, from which an admin sends it out again.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme, evil := newTenant(t, server, "acme"), newTenant(t, server, "evil")
	tellBob(t, acme, "poison")
	bob := acme.agent("bob", "", "ack", "explicit", "max_deliveries", "2")
	for want := range 2 {
		m := bob.Message()
		if n, _ := m["redelivered"].(float64); int(n) != want {
			t.Errorf("delivery %d: %s", want, m)
		}
		bob.Send(rig.Frame{"type": "NACK", "message_id": m.ID(), "delay_ms": 0})
	}
	letters := acme.deadLetters(1)
	if l := letters[0]; l.Place != "inbox bob" || l.Target != "bob" || l.Channel != "" || l.Deliveries != 2 || l.Message["content"] != "poison" {
		t.Fatalf("%+v", l)
	}
	if got := bob.Pending(); len(got) > 0 {
		t.Errorf("given up, and delivered again: %s", got)
	}
	number := strconv.FormatUint(letters[0].Number, 10)
	if table := acme.MustCLI("deadletter", "list", "--tenant", "acme"); !strings.Contains(table, "inbox bob") || !strings.Contains(table, "poison") {
		t.Errorf("the table is\n%s", table)
	}

	evil.deadLetters(0)
	for _, verb := range []string{"replay", "drop"} {
		if r := evil.CLI("deadletter", verb, "--tenant", "evil", number); r.Code != 4 || r.Stdout != "" {
			t.Errorf("%s by another tenant: %+v", verb, r)
		}
	}

	server.Kill() // the list is on disk
	server.Restart()
	acme.deadLetters(1)
	bob = acme.agent("bob", "", "ack", "explicit", "max_deliveries", "2")
	if out := acme.MustCLI("deadletter", "replay", "--tenant", "acme", number); out != number {
		t.Errorf("replay printed %q", out)
	}
	m := bob.Message()
	if m["content"] != "poison" || m["target"] != "bob" {
		t.Errorf("replayed: %s", m)
	}
	bob.Send(rig.Frame{"type": "ACK", "message_id": m.ID()})
	bob.Settle()
	acme.deadLetters(0)
	bob.Close()
	bob = acme.agent("bob", "", "ack", "explicit")
	bob.Settle()
	if got := bob.Pending(); len(got) > 0 {
		t.Errorf("acknowledged after the replay, and delivered again: %s", got)
	}
}
