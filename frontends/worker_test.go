package frontends

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/sessions"
	"parley/tenants"
)

// patience bounds what a test waits for that must come.
const patience = 30 * time.Second

// service connects to a tenant's account, as its back ends do.
func (w *world) service(t testing.TB, tenant tenants.ID, req broker.CredsRequest, opts ...nats.Option) *nats.Conn {
	t.Helper()
	_, creds, err := w.registry.IssueCreds(t.Context(), tenant, "", req)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(w.ServicesURL(), append(opts, nats.UserCredentialBytes(creds))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// worker is an AI worker that does what a test says.
type worker struct {
	t     *testing.T
	nc    *nats.Conn
	js    jetstream.JetStream
	queue string
}

func (w *world) worker(t *testing.T, tenant tenants.ID, queue string) *worker {
	t.Helper()
	nc := w.service(t, tenant, broker.CredsRequest{Name: "worker", Queue: broker.Token(queue)}, nats.CustomInboxPrefix("_INBOX.worker"))
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &worker{t, nc, js, queue}
}

// job is one message that the worker answers.
type job struct {
	*worker
	msg jetstream.Msg
	sessions.Request
	n int
}

// take waits for a message and accepts it.
func (k *worker) take() *job {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		c, err := k.js.Consumer(ctx, "WORK", k.queue)
		if err != nil { // the queue is made with its first message
			continue
		}
		m, err := c.Next(jetstream.FetchMaxWait(time.Second))
		if err != nil {
			continue
		}
		j := &job{worker: k, msg: m}
		if err := json.Unmarshal(m.Data(), &j.Request); err != nil {
			k.t.Fatal(err)
		}
		j.send("accept", map[string]any{"worker": "w-1"})
		if err := m.Ack(); err != nil {
			k.t.Fatal(err)
		}
		return j
	}
	k.t.Fatal("no message came")
	return nil
}

func (j *job) send(what string, more map[string]any) {
	j.t.Helper()
	j.n++
	m := map[string]any{"run": j.Run, "attempt": j.Attempt, "epoch": j.Epoch, "n": j.n, "type": what}
	for k, v := range more {
		m[k] = v
	}
	data, err := json.Marshal(m)
	if err != nil {
		j.t.Fatal(err)
	}
	answer, err := j.nc.Request(j.ReplyTo, data, patience)
	if err != nil {
		j.t.Fatalf("%s: %v", what, err)
	}
	var r struct{ OK bool }
	if err := json.Unmarshal(answer.Data, &r); err != nil || !r.OK {
		j.t.Fatalf("%s: %s", what, answer.Data)
	}
}

func (j *job) chunks(all ...string) *job {
	j.t.Helper()
	for _, text := range all {
		j.send("chunk", map[string]any{"text": text})
	}
	return j
}

func (j *job) end(followUps ...string) {
	j.t.Helper()
	if len(followUps) > 0 {
		j.send("follow_ups", map[string]any{"questions": followUps})
	}
	j.send("end", nil)
}
