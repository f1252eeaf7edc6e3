package sessions

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestPiecesAreAnsweredTogether notes pieces and looks at when they are answered.
func TestPiecesAreAnsweredTogether(t *testing.T) {
	t.Parallel()
	var d owed
	now := time.Unix(1000, 0)
	add := func(n uint64) (paid bool) { d.add(sender{}, n, 1, now); return d.count == 0 } // to nobody
	for n := uint64(1); n <= 3*maxOwed; n++ {
		if paid := add(n); paid != (n%maxOwed == 0) {
			t.Errorf("piece %d: answered %t", n, paid)
		}
	}
	add(100)
	if d.payLate(now.Add(owedFor - 1)); d.count == 0 {
		t.Error("answered before it had to be")
	}
	if d.payLate(now.Add(owedFor)); d.count > 0 {
		t.Error("the last one is not answered")
	}
	for n := range uint64(promptFor) { // the worker may have waited
		if !add(101 + n) {
			t.Errorf("piece %d after a late answer waits", n)
		}
	}
	if add(200) || add(201) {
		t.Error("pieces are answered alone for ever")
	}
	if d.payLate(now.Add(owedFor)); d.count > 0 || add(202) { // the worker does not wait, it is slow
		t.Error("a slow worker is answered at once")
	}
}

// TestLastPieceIsAnswered sends pieces without waiting: the answers are cumulative, and the last one says all.
func TestLastPieceIsAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	b.say(id, "go")
	j := b.worker("w").take()
	j.accept()
	inbox := j.nc.NewInbox()
	answers := make(chan *nats.Msg, 64)
	if _, err := j.nc.ChanSubscribe(inbox, answers); err != nil {
		t.Fatal(err)
	}
	const pieces = 20
	for range pieces {
		j.n++
		data, err := json.Marshal(map[string]any{"run": j.Run, "attempt": j.Attempt, "epoch": j.Epoch, "type": "chunk", "n": j.n, "text": "x"})
		if err == nil {
			err = j.nc.PublishRequest(j.ReplyTo, inbox, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.After(patience)
	for last := uint64(0); last < j.n; {
		select {
		case m := <-answers:
			var r outputReply
			if err := json.Unmarshal(m.Data, &r); err != nil || !r.OK || r.N <= last {
				t.Fatalf("behind %d came %s", last, m.Data)
			}
			last = r.N
		case <-deadline:
			t.Fatalf("the last piece was not answered, only %d of %d", last, j.n)
		}
	}
	j.send("end", nil)
}

// TestAnswersGoToInboxes has a worker ask for an answer where it may not write.
func TestAnswersGoToInboxes(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	b.say(id, "go")
	j := b.worker("w").take()
	elsewhere, err := j.nc.SubscribeSync("session.*.feedback")
	if err != nil {
		t.Fatal(err)
	}
	if err := j.nc.PublishRequest(j.ReplyTo, "session."+id+".feedback", []byte(`{"type":"heartbeat"}`)); err != nil {
		t.Fatal(err)
	}
	j.accept() // its answer comes after the other one would
	if n, _, err := elsewhere.Pending(); err != nil || n != 0 {
		t.Errorf("%d answers came, %v", n, err)
	}
}
