package sessions

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"parley/acks"
)

// TestPiecesBesideCommands has workers send pieces as fast as they may while the users do other things in the same sessions.
func TestPiecesBesideCommands(t *testing.T) {
	b := setup(t, Config{})
	w := b.worker("w")
	jobs := make([]*job, 4)
	for i := range jobs {
		b.say(b.session(), "go")
		jobs[i] = w.take()
		jobs[i].accept()
	}
	var going sync.WaitGroup
	for _, j := range jobs {
		r, _ := b.follow(j.Session)
		going.Go(func() { b.bother(j.Session) })
		going.Go(func() {
			said := j.stream(300)
			j.send("end", nil)
			if end := r.await(t, Ended, 1); end.Text != said || r.text() != said {
				t.Errorf("the worker said %q, the log has %q, the follower %q", said, end.Text, r.text())
			}
			b.checkLog(j.Session)
		})
	}
	going.Wait()
}

// bother does things in a session that have nothing to do with its answer.
func (b *bench) bother(id string) {
	for i := range 8 {
		if _, _, err := b.hub.Say(b.t.Context(), b.user, id, Utterance{Text: fmt.Sprint("and ", i)}); err != nil {
			b.t.Error(err)
		}
	}
	if err := b.hub.Escalate(b.t.Context(), b.user, id, "help"); err != nil {
		b.t.Error(err)
	}
}

// checkLog looks for gaps in a session's log.
func (b *bench) checkLog(id string) {
	index, offset, n := uint64(0), 0, uint64(0)
	err := b.hub.Events(b.t.Context(), b.user, id, 1, func(e *Event) bool {
		if index++; e.Index != index {
			b.t.Errorf("event %d is where %d should be", e.Index, index)
		}
		if e.Kind == Chunk {
			if e.Offset != offset || e.N <= n {
				b.t.Errorf("piece %d begins at %d, behind piece %d and %d bytes", e.N, e.Offset, n, offset)
			}
			offset, n = offset+len(e.Text), e.N
		}
		return e.Kind != Ended
	})
	if err != nil {
		b.t.Error(err)
	}
}

// stream sends pieces, as many ahead of the answers as workers may, and returns what was said.
func (j *job) stream(pieces int) string {
	const ahead = 64
	inbox := j.nc.NewInbox()
	answers := make(chan *nats.Msg, pieces)
	sub, err := j.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		j.t.Error(err)
		return ""
	}
	defer sub.Unsubscribe()
	var said strings.Builder
	first := j.n
	for confirmed := j.n; confirmed < first+uint64(pieces); {
		for ; j.n < min(first+uint64(pieces), confirmed+ahead); j.n++ {
			text := fmt.Sprintf("%d, \"", j.n)
			said.WriteString(text)
			data, err := json.Marshal(map[string]any{"run": j.Run, "attempt": j.Attempt, "epoch": j.Epoch, "type": "chunk", "n": j.n + 1, "text": text})
			if err == nil {
				err = j.nc.PublishRequest(j.ReplyTo, inbox, data)
			}
			if err != nil {
				j.t.Error(err)
				return ""
			}
		}
		var r outputReply
		select {
		case m := <-answers:
			if err := json.Unmarshal(m.Data, &r); err != nil || !r.OK || r.N < confirmed {
				j.t.Errorf("behind %d came %s", confirmed, m.Data)
				return ""
			}
		case <-time.After(patience):
			j.t.Errorf("behind %d came nothing", confirmed)
			return ""
		}
		confirmed = r.N
	}
	return said.String()
}

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
