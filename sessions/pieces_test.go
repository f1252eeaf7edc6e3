package sessions

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"parley/acks"
)

// TestNothingFollowsAPieceThatFailed has a command wait for a piece of which nobody learns what became of it.
func TestNothingFollowsAPieceThatFailed(t *testing.T) {
	w := (&space{life: t.Context()}).newWriter("s")
	defer w.alarm.Stop()
	w.due = time.Now().Add(time.Hour)
	came := make(chan bool)
	go func() {
		_, ok := w.next()
		came <- ok
	}()
	for sending := false; !sending; runtime.Gosched() {
		w.turn.Lock()
		sending = !w.own // it waits
		w.storing = sending
		w.turn.Unlock()
	}
	var refused error
	if !w.take(call{command: &command{Verb: stop}, answer: func(_ result, err error) { refused = err }}) {
		t.Fatal("the writer takes nothing")
	}
	lost := errors.New("lost")
	w.piece.Settle(acks.Outcome{Err: lost})
	w.piece.Flush()
	if <-came || !errors.Is(w.broken, lost) {
		t.Errorf("the writer, broken by %v, goes on", w.broken)
	}
	if c, ok := w.pop(); !ok {
		t.Error("the command is lost")
	} else if c.refuse(lost); !errors.Is(refused, lost) {
		t.Errorf("the command was refused with %v", refused)
	}
}
