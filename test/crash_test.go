package test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"parley/test/rig"
)

// TestCrashUnderLoad kills the broker with SIGKILL while agents write as fast as they can, again and again on the same
// data. Every message that was acknowledged is there, once; and one whose fate was unknown, and which was sent again under
// the same id, is there once.
func TestCrashUnderLoad(t *testing.T) {
	t.Parallel()
	const rounds, writers, acksBeforeKill = 5, 4, 600
	server := parley.Start(t, rig.Options{})
	acme := newTenant(t, server, "acme")
	load := make([]*writer, writers)
	for i := range load {
		agent := fmt.Sprint("writer-", i)
		load[i] = &writer{agent: agent, token: acme.token(agent), channel: fmt.Sprint("busy-", i%2), acked: map[string]uint64{}}
	}
	for range rounds {
		var acks atomic.Int64
		enough := make(chan struct{})
		var writing sync.WaitGroup
		sockets := make([]*rig.Socket, writers)
		for i, w := range load { // all are there before the first one writes
			sockets[i] = acme.dial(w.token, w.channel, "echo", "false")
		}
		for i, w := range load {
			s := sockets[i]
			underWay := make(chan struct{}, window)
			writing.Go(func() { w.write(s, underWay) })
			writing.Go(func() {
				w.readAnswers(t, s, underWay, func() {
					if acks.Add(1) == acksBeforeKill {
						close(enough)
					}
				})
			})
		}
		<-enough
		server.Kill()
		writing.Wait()
		server.Restart()
		for _, w := range load {
			w.retry(t, acme.dial(w.token, w.channel, "echo", "false"))
		}
	}
	for channel := range 2 {
		checkStored(t, history(t, acme, fmt.Sprint("busy-", channel)), load, fmt.Sprint("busy-", channel))
	}
	total := 0
	for _, w := range load {
		total += len(w.acked)
	}
	t.Logf("%d acknowledged messages over %d kills", total, rounds)
}

// writer is an agent that publishes and keeps book.
type writer struct {
	agent, token, channel string

	mu    sync.Mutex
	sent  []string          // guarded by mu; ids in the order of sending, over all rounds
	acked map[string]uint64 // guarded by mu; id to seq
}

// window is how many messages a writer has under way.
const window = 64

// write publishes until the connection ends.
func (w *writer) write(s *rig.Socket, underWay chan<- struct{}) {
	for {
		select {
		case underWay <- struct{}{}:
		case <-s.Done():
			return
		}
		w.mu.Lock()
		id := fmt.Sprint(w.agent, "-", len(w.sent))
		w.sent = append(w.sent, id)
		w.mu.Unlock()
		if s.TrySend(rig.Frame{"id": id, "type": "message", "content": id}) != nil {
			return
		}
	}
}

// readAnswers books ACKs until the connection ends.
func (w *writer) readAnswers(t *testing.T, s *rig.Socket, underWay <-chan struct{}, acked func()) {
	for {
		answer, ok := s.TryNext()
		if !ok {
			return
		}
		if !answer.Answer() {
			continue // somebody else's message
		}
		<-underWay
		if answer.Type() == "ACK" { // after an ERROR the message is sent again later
			w.book(t, answer)
			acked()
		}
	}
}

func (w *writer) book(t *testing.T, ack rig.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := ack.Text("message_id")
	if seq, again := w.acked[id]; again && seq != ack.Seq() {
		t.Errorf("message %s was acknowledged with seq %d and %d", id, seq, ack.Seq())
	}
	w.acked[id] = ack.Seq()
}

// retry sends again, in order, what has no ACK, and what has the last one: that one must be called a duplicate.
func (w *writer) retry(t *testing.T, s *rig.Socket) {
	defer s.Close()
	lastAcked := ""
	for _, id := range w.sent {
		if _, ok := w.acked[id]; ok {
			lastAcked = id
			continue
		}
		s.Send(rig.Frame{"id": id, "type": "message", "content": id})
		w.book(t, s.Ack(id))
	}
	if lastAcked == "" {
		t.Fatalf("%s was never answered: the test proves nothing", w.agent)
	}
	s.Send(rig.Frame{"id": lastAcked, "type": "message", "content": lastAcked})
	if ack := s.Ack(lastAcked); ack["duplicate"] != true || ack.Seq() != w.acked[lastAcked] {
		t.Errorf("message %s was stored as %d, sending it again is answered by %s", lastAcked, w.acked[lastAcked], ack)
	}
}

// checkStored compares a channel with what its writers were told.
func checkStored(t *testing.T, stored []rig.Frame, load []*writer, channel string) {
	t.Helper()
	at := map[string][]uint64{}
	for _, m := range stored {
		at[m.ID()] = append(at[m.ID()], m.Seq())
		if m["content"] != m.ID() {
			t.Errorf("message %s holds %v", m.ID(), m["content"])
		}
	}
	known := 0
	for _, w := range load {
		if w.channel != channel {
			continue
		}
		known += len(w.acked)
		for id, seq := range w.acked {
			if len(at[id]) != 1 || at[id][0] != seq {
				t.Errorf("message %s was acknowledged as %d and is stored as %v", id, seq, at[id])
			}
		}
	}
	if known != len(stored) {
		t.Errorf("%s holds %d messages, its writers know of %d", channel, len(stored), known)
	}
}
