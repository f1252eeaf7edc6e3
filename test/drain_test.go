package test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"parley/test/rig"
)

// TestDrain stops the server as a service manager does, under load: sockets are closed with a code that makes clients come
// back, whatever was acknowledged is stored, the exit status is 0.
func TestDrain(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme := newTenant(t, server, "acme")
	idle, reader := acme.agent("idle", ""), acme.agent("reader", "busy")
	w := &writer{agent: "writer", token: acme.token("writer"), channel: "busy", acked: map[string]uint64{}}
	s := acme.dial(w.token, w.channel, "echo", "false")
	var writing sync.WaitGroup
	underWay, begun := make(chan struct{}, window), make(chan struct{})
	var once sync.Once
	writing.Go(func() { w.write(s, underWay) })
	writing.Go(func() { w.readAnswers(t, s, underWay, func() { once.Do(func() { close(begun) }) }) })
	<-begun

	if code := server.Stop(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	writing.Wait()
	for name, s := range map[string]*rig.Socket{"idle": idle, "reader": reader, "writer": s} {
		code, reason := s.Ended()
		if code != 1001 && code != 1012 || reason == "" {
			t.Errorf("the %s's connection was closed with %d %q, want 1001 or 1012 and a reason", name, code, reason)
		}
	}

	server.Restart()
	stored := map[string]uint64{}
	for _, m := range history(t, acme, "busy") {
		stored[m.ID()] = m.Seq()
	}
	for id, seq := range w.acked {
		if stored[id] != seq {
			t.Errorf("message %s was acknowledged as %d and is stored as %d", id, seq, stored[id])
		}
	}
	if got := server.MustCLI("tenant", "list"); !strings.Contains(got, "acme") {
		t.Errorf("after the restart the tenants are %q", got)
	}
	if len(w.acked) == 0 {
		t.Error("nothing was acknowledged: the test proves nothing")
	}
	fmt.Fprintln(t.Output(), len(w.acked), "acknowledged before the drain")
}

// TestSecondSignalDoesNoHarm sends the signal again while the first one works.
func TestSecondSignalDoesNoHarm(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme := newTenant(t, server, "acme")
	acme.agent("alice", "general").Publish("kept")
	server.BeginStop()
	server.BeginStop()
	server.Wait()
	server.Restart()
	if got := contents(history(t, acme, "general")); len(got) != 1 || got[0] != "kept" {
		t.Errorf("history %v", got)
	}
}
