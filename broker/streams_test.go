package broker

import "testing"

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
