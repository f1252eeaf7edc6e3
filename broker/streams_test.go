package broker

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// TestCopiesOfSessions takes a stream of sessions that was made by a cluster to one node, and the same stream back.
func TestCopiesOfSessions(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff})
	c := mustAcquire(t, e, mustAccount(t, e))
	cfg := c.streamConfig(Sessions)
	cfg.RePublish = republish(">")
	if _, err := c.js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	copies := func() *jetstream.RePublish {
		t.Helper()
		s, err := c.js.Stream(t.Context(), string(Sessions))
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().Config.RePublish
	}
	for range 2 {
		if err := c.Ensure(t.Context(), Sessions); err != nil {
			t.Fatal(err)
		}
		if got := copies(); got != nil {
			t.Errorf("alone, the stream makes copies: %+v", got)
		}
		clear(c.streams)
	}
	err := c.amend(t.Context(), Sessions, republish(">"))
	if got := copies(); err != nil || got == nil || got.Destination != "live.>" {
		t.Errorf("among several nodes the copies are %+v, %v", got, err)
	}
}

func TestHeard(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir()})
	id := mustAccount(t, e)
	c := mustAcquire(t, e, id)
	log := SessionLog("s1").Live()
	if c.Heard(log) {
		t.Error("heard by nobody")
	}
	service := connectService(t, e, id, CredsRequest{Name: "desk", Subscribe: []string{"live.session.>"}})
	sub, err := service.SubscribeSync("live.session.*.log")
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Flush(); err != nil {
		t.Fatal(err)
	}
	if !c.Heard(log) || c.Heard(SessionTyping("s1")) {
		t.Error("not heard by a service")
	}
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	if err := service.Flush(); err != nil {
		t.Fatal(err)
	}
	if c.Heard(log) {
		t.Error("still heard")
	}
}
