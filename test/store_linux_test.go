package test

import (
	"testing"

	"golang.org/x/sys/unix"

	"parley/test/rig"
)

// TestFullStore: nothing is stored on a disk that is nearly full, everybody is told, and connections live on.
func TestFullStore(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	acme.agent("alice", "general", "echo", "false").Publish("while there was room")
	acme.Kill()
	server := parley.Start(t, rig.Options{Data: acme.Data, Args: []string{"--min-free", "4611686018427387904"}, Unready: true})
	acme.Server = server
	alice := acme.agent("alice", "general", "since", "0")
	if got := alice.Message(); got["content"] != "while there was room" {
		t.Errorf("history on a full disk: %s", got)
	}
	for _, frame := range []rig.Frame{
		{"id": "m1", "type": "message", "content": "x"}, {"id": "m2", "type": "message", "content": "x", "target": "bob"},
	} {
		alice.Send(frame)
		if got := alice.Answer(frame.ID()); got.Type() != "ERROR" || got.Text("code") != "STORAGE_FULL" || got.Text("error") != "The message was not stored: the disk is full." {
			t.Errorf("on a full disk: %s", got)
		}
	}
	alice.Settle()
	if got := rig.Do(t, "POST", acme.URL()+"/v1/channels/general/messages", acme.token("alice"), `{"content":"x"}`); got.Status != 507 {
		t.Errorf("POST on a full disk: %d %s", got.Status, got.Body)
	}
}

// TestFailedStore takes the disk away from under a running broker: from one moment on every write fails. Nothing may be
// acknowledged any more, and the broker must not go on as if nothing had happened.
func TestFailedStore(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme := newTenant(t, server, "acme")
	alice := acme.agent("alice", "general", "echo", "false")
	acked := map[string]bool{}
	for range 50 {
		id, _ := alice.Publish("x")
		acked[id] = true
	}
	nothing := unix.Rlimit{Cur: 1, Max: 1}
	if err := unix.Prlimit(server.PID(), unix.RLIMIT_FSIZE, &nothing, nil); err != nil {
		t.Fatal(err)
	}
	lost := []string{"lost-1", "lost-2", "lost-3"}
	for _, id := range lost {
		if alice.TrySend(rig.Frame{"id": id, "type": "message", "content": "x"}) != nil {
			break
		}
	}
	for _, id := range lost {
		if got, ok := alice.TryAnswer(id); ok && got.Type() != "ERROR" {
			t.Errorf("acknowledged without a disk: %s", got)
		}
	}
	if status := server.Wait(); status == 0 {
		t.Error("the broker ended with status 0")
	}
	server.Restart()
	stored := map[string]int{}
	for _, m := range history(t, acme, "general") {
		stored[m.ID()]++
	}
	for id := range acked {
		if stored[id] != 1 {
			t.Errorf("the acknowledged message %s is stored %d times", id, stored[id])
		}
	}
}
