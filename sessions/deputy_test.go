package sessions

import (
	"strings"
	"testing"

	"parley/broker"
)

// TestRepliesReachNoLog has a service name a session's log as where it wants to be answered. The broker and the streams may
// write there, it may not.
func TestRepliesReachNoLog(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	said := b.say(id, "hello")
	s, err := b.hub.spaces.Acquire(t.Context(), b.account)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.conn.Ensure(t.Context(), broker.Inboxes); err != nil {
		t.Fatal(err)
	}
	nc := b.service("mallory", "agent.>")
	log := "session." + id + ".log"
	for _, subject := range []string{"session." + id + ".do.info", "session." + id + ".run", "session.none.do.info", "agent.bob"} {
		if err := nc.PublishRequest(subject, log, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Request(subject, []byte(`{}`), patience); err != nil { // answered after the other one
			t.Fatalf("%s: %v", subject, err)
		}
	}
	f, err := s.load(t.Context(), broker.Token(id))
	if err != nil {
		t.Fatal(err)
	}
	if f.index != said.Index {
		t.Errorf("the newest event is %d, want %d", f.index, said.Index)
	}
	for seq := uint64(3); seq <= f.seq; seq++ { // behind created and said
		m, err := s.conn.Get(t.Context(), broker.Sessions, seq)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(m.Data), `"stream":"INBOXES"`) { // which nothing can be done about
			t.Errorf("in the log is %s", m.Data)
		}
	}
	if kv, err := s.conn.JetStream().KeyValue(t.Context(), broker.SessionsBucket); err == nil {
		t.Errorf("the records are in the bucket %s, which can be guessed", kv.Bucket())
	}
	b.say(id, "still there")
}
