package test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/test/rig"
)

// aiWorker is an AI worker that says what a test wants it to say: a plain NATS client with credentials of that role.
type aiWorker struct {
	*rig.Service
	t     testing.TB
	queue jetstream.Consumer
}

func (n tenant) aiWorker(name string) *aiWorker {
	n.t.Helper()
	s := rig.Serve(n.t, n.StableNATS(), n.creds(name, "--role", "worker"))
	js, err := jetstream.New(s.Conn)
	if err != nil {
		n.t.Fatal(err)
	}
	queue, err := js.Consumer(n.t.Context(), "WORK", "ai")
	if err != nil {
		n.t.Fatal(err)
	}
	return &aiWorker{s, n.t, queue}
}

// aiJob is a request that a worker has taken.
type aiJob struct {
	worker  *aiWorker
	Session string
	Run     string
	Attempt int
	Epoch   int
	ReplyTo string `json:"reply_to"`
	Text    string
	sent    int
}

// take waits for a request and accepts it.
func (w *aiWorker) take() *aiJob {
	w.t.Helper()
	for deadline := time.Now().Add(rig.Patience); time.Now().Before(deadline); {
		m, err := w.queue.Next(jetstream.FetchMaxWait(time.Second))
		if errors.Is(err, nats.ErrTimeout) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		j := &aiJob{worker: w}
		if err := json.Unmarshal(m.Data(), j); err != nil {
			w.t.Fatal(err)
		}
		j.send(rig.Frame{"type": "accept", "worker": "scripted"})
		if err := m.Ack(); err != nil {
			w.t.Fatal(err)
		}
		return j
	}
	w.t.Fatal("no request came")
	return nil
}

// try sends what the worker has to say and returns the broker's answer.
func (j *aiJob) try(f rig.Frame) (ok bool, code string) {
	j.worker.t.Helper()
	j.sent++
	f["run"], f["attempt"], f["epoch"], f["n"] = j.Run, j.Attempt, j.Epoch, j.sent
	deadline := time.Now().Add(rig.Patience)
	m, err := j.worker.Request(j.ReplyTo, []byte(f.String()), 2*time.Second)
	for err != nil && time.Now().Before(deadline) { // the broker is away for a moment; a number that it has is not taken twice
		m, err = j.worker.Request(j.ReplyTo, []byte(f.String()), 2*time.Second)
	}
	if err != nil {
		j.worker.t.Fatalf("%s: %v", f, err)
	}
	var answer struct {
		OK    bool
		Error struct{ Code string }
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		j.worker.t.Fatal(err)
	}
	return answer.OK, answer.Error.Code
}

func (j *aiJob) send(f rig.Frame) {
	j.worker.t.Helper()
	if ok, code := j.try(f); !ok {
		j.worker.t.Fatalf("%s: refused with %s", f, code)
	}
}

func (j *aiJob) chunk(text string) {
	j.worker.t.Helper()
	j.send(rig.Frame{"type": "chunk", "text": text})
}

// end ends the answer, and offers questions to go on with.
func (j *aiJob) end(questions ...string) {
	j.worker.t.Helper()
	if len(questions) > 0 {
		j.send(rig.Frame{"type": "follow_ups", "questions": questions})
	}
	j.send(rig.Frame{"type": "end"})
}

// answer answers the next request.
func (w *aiWorker) answer(text string) *aiJob {
	w.t.Helper()
	j := w.take()
	j.chunk(text)
	j.end()
	return j
}
