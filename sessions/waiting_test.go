package sessions

import (
	"testing"
	"time"

	"parley/broker"
)

// awaitWaiting waits until a node counts so many sessions of the tenant that wait for a human.
func (b *bench) awaitWaiting(n int) Handoffs {
	b.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		got := b.hub.Handoffs()[b.account]
		if got.Waiting == n {
			return got
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s counts %d sessions that wait, want %d", b.NodeName(), got.Waiting, n)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestHandoffsAreCounted has sessions wait and leave the queue in every way, and the node restart in between.
func TestHandoffsAreCounted(t *testing.T) {
	b := setup(t, Config{})
	op := b.operator("otto")
	var ids []string
	for range 5 {
		id := b.session()
		ids = append(ids, id)
		if err := b.hub.Escalate(t.Context(), b.user, id, ""); err != nil {
			t.Fatal(err)
		}
	}
	first := b.awaitWaiting(5).Since
	b.restart()
	if got := b.awaitWaiting(5); !got.Since.Equal(first) { // nobody has used the tenant yet
		t.Errorf("the first waits since %v, before the restart it was %v", got.Since, first)
	}
	for i, leave := range []func(id string) error{
		func(id string) error { return b.hub.Claim(t.Context(), op, id) },
		func(id string) error { return b.hub.Release(t.Context(), op, id) },
		func(id string) error { return b.hub.Close(t.Context(), b.user, id, "") },
		func(id string) error { return b.hub.Delete(t.Context(), b.user, id) },
	} {
		if err := leave(ids[i]); err != nil {
			t.Fatal(err)
		}
		b.awaitWaiting(4 - i)
	}

	// What a crash has left wrong is mended when somebody looks.
	long := time.Now().Add(-time.Hour)
	b.hub.waiting.begin(t.Context(), waitingKey(b.account, "gone"), long)
	b.hub.waiting.begin(t.Context(), waitingKey("another", "gone"), long)
	b.awaitWaiting(2)
	if q, err := b.hub.Queue(t.Context(), op); err != nil || len(q) != 1 {
		t.Fatalf("queue %+v %v", q, err)
	}
	b.awaitWaiting(1)
	b.hub.waiting.mend(t.Context(), b.account, map[string]time.Time{waitingKey(b.account, "missing"): long})
	if got := b.awaitWaiting(2); !got.Since.Equal(long.UTC()) {
		t.Errorf("the first waits since %v, want %v", got.Since, long)
	}
	if n := b.hub.Handoffs()[broker.AccountID("another")].Waiting; n != 1 {
		t.Errorf("another tenant's count was mended to %d", n)
	}
}
