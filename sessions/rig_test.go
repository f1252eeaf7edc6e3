package sessions

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"parley/acks"
	"parley/broker"
	"parley/broker/brokertest"
	"parley/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for that must come.
const patience = 30 * time.Second

// bench is a node with a running hub, one tenant and one of its users.
type bench struct {
	*brokertest.Node
	t       testing.TB
	hub     *Hub
	store   broker.Config
	cfg     Config
	account broker.AccountID
	user    Principal
}

func setup(t testing.TB, cfg Config) *bench {
	t.Helper()
	return setupOn(t, broker.Config{}, cfg)
}

func setupOn(t testing.TB, store broker.Config, cfg Config) *bench {
	t.Helper()
	store.DataDir = t.TempDir()
	n := brokertest.Start(t, store)
	b := newBench(t, n, cfg, brokertest.NewAccount(t, "acme", n))
	b.store = store
	return b
}

func newBench(t testing.TB, n *brokertest.Node, cfg Config, account broker.AccountID) *bench {
	t.Helper()
	b := &bench{t: t, cfg: cfg, account: account, user: Principal{Tenant: "acme", Account: account, User: "ann"}}
	b.runOn(n)
	return b
}

func (b *bench) runOn(n *brokertest.Node) {
	b.t.Helper()
	committer := acks.NewCommitter(n.Sync)
	hub, err := NewHub(b.cfg, n.Engine, committer, n.Log)
	if err != nil {
		b.t.Fatal(err)
	}
	n.Run(committer.Run)
	n.Run(hub.Run)
	b.Node, b.hub = n, hub
}

// restart stops the node, if it runs, and starts it again with the same data.
func (b *bench) restart() {
	b.t.Helper()
	b.Stop()
	b.runOn(brokertest.Start(b.t, b.store))
}

func (b *bench) operator(name string) Principal {
	return Principal{Tenant: "acme", Account: b.account, User: name, Operator: true}
}

func (b *bench) session() string {
	b.t.Helper()
	info, created, err := b.hub.Create(b.t.Context(), b.user, Spec{})
	if err != nil || !created {
		b.t.Fatalf("create: %v %v", created, err)
	}
	return info.ID
}

func (b *bench) say(id, text string) *Event {
	b.t.Helper()
	e, _, err := b.hub.Say(b.t.Context(), b.user, id, Utterance{Text: text})
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

// reader is a Follower that writes down what it is told, one line an event, and can be waited for.
type reader struct {
	mu      sync.Mutex
	changed chan struct{}
	begin   Snapshot
	events  []*Event
	lost    error
}

func newReader() *reader { return &reader{changed: make(chan struct{}, 1)} }

func (r *reader) note(f func()) {
	r.mu.Lock()
	f()
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *reader) Begin(s Snapshot)  { r.note(func() { r.begin = s }) }
func (r *reader) Deliver(e *Event)  { one := *e; r.note(func() { r.events = append(r.events, &one) }) }
func (r *reader) Lost(err error)    { r.note(func() { r.lost = err }) }
func (r *reader) lines() (s string) { return script(r.copied()) }

func (r *reader) copied() []*Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Event(nil), r.events...)
}

// text is all that the reader has of answers: what a snapshot had, and the chunks behind.
func (r *reader) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	if r.begin.Answer != nil {
		b.WriteString(r.begin.Answer.Text)
	}
	for _, e := range r.events {
		if e.Kind == Chunk {
			b.WriteString(e.Text)
		}
	}
	return b.String()
}

// await waits until an event of a kind has come, the nth of them.
func (r *reader) await(t testing.TB, kind Kind, nth int) *Event {
	t.Helper()
	deadline := time.After(patience)
	for {
		n := 0
		for _, e := range r.copied() {
			if e.Kind == kind {
				if n++; n == nth {
					return e
				}
			}
		}
		select {
		case <-r.changed:
		case <-deadline:
			t.Fatalf("no %s number %d came, only:\n%s", kind, nth, r.lines())
		}
	}
}

// script writes events as a test wants to read them. Chunks run together: how they are cut is nobody's business.
func script(events []*Event) string {
	var b strings.Builder
	for i, e := range events {
		switch {
		case e.Kind == Chunk && i > 0 && events[i-1].Kind == Chunk:
			fmt.Fprintf(&b, "%s", e.Text)
			continue
		case i > 0:
			b.WriteString("\n")
		}
		b.WriteString(string(e.Kind))
		for _, s := range []string{string(e.Role), string(e.Status), e.Text} {
			if s != "" {
				b.WriteString(" " + s)
			}
		}
		if e.Tool != nil {
			fmt.Fprintf(&b, " %s %s%s", e.Tool.Name, e.Tool.Arguments, e.Tool.Result)
		}
		if e.Error != nil {
			fmt.Fprintf(&b, " %s", e.Error.Code)
		}
		if e.FollowUps != nil {
			fmt.Fprintf(&b, " %q", e.FollowUps)
		}
	}
	return b.String()
}

func (b *bench) follow(id string) (*reader, *Following) {
	b.t.Helper()
	r := newReader()
	f, err := b.hub.Follow(b.t.Context(), b.user, id, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return r, f
}

// worker is a scripted AI worker on a connection of its own, like a service's.
type worker struct {
	t    testing.TB
	name string
	nc   *nats.Conn
	pull jetstream.Consumer
}

func (b *bench) worker(name string) *worker {
	b.t.Helper()
	nc := b.service(name)
	js, err := jetstream.New(nc)
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := b.hub.spaces.Acquire(b.t.Context(), b.account)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := s.conn.EnsureQueue(b.t.Context(), defaultQueue); err != nil {
		b.t.Fatal(err)
	}
	pull, err := js.Consumer(b.t.Context(), string(broker.Work), defaultQueue)
	if err != nil {
		b.t.Fatal(err)
	}
	return &worker{b.t, name, nc, pull}
}

// service connects to the tenant's account over TCP as something that may do everything there.
func (b *bench) service(name string, more ...string) *nats.Conn {
	b.t.Helper()
	creds, _, err := b.Creds(b.t.Context(), b.account, broker.CredsRequest{
		Name: name, Queue: defaultQueue, Publish: append(more, "session.>", "_INBOX.>"), Subscribe: []string{"session.>", "live.>", "_INBOX.>"},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	nc, err := nats.Connect(b.ServicesURL(), nats.UserCredentialBytes(creds), nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(nc.Close)
	return nc
}

// take waits for a request.
func (w *worker) take() *job {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		m, err := w.pull.Next(jetstream.FetchMaxWait(time.Second))
		if errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) { // nothing yet, or no leader yet
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		j := &job{worker: w, msg: m}
		if err := json.Unmarshal(m.Data(), &j.Request); err != nil {
			w.t.Fatal(err)
		}
		return j
	}
	w.t.Fatal("no request came")
	return nil
}

// job is a request that a worker works on.
type job struct {
	*worker
	msg jetstream.Msg
	Request
	n uint64
}

// try sends a message to the writer and returns its answer.
func (j *job) try(what string, more map[string]any) outputReply {
	j.t.Helper()
	m := map[string]any{"run": j.Run, "attempt": j.Attempt, "epoch": j.Epoch, "type": what}
	if what != "heartbeat" {
		m["n"] = j.n + 1
	}
	for k, v := range more {
		m[k] = v
	}
	data, err := json.Marshal(m)
	if err != nil {
		j.t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for {
		answer, err := j.nc.Request(j.ReplyTo, data, 2*time.Second)
		if err != nil && time.Now().Before(deadline) {
			continue // the broker is away for a moment
		}
		if err != nil {
			j.t.Fatalf("%s: %v", what, err)
		}
		var r outputReply
		if err := json.Unmarshal(answer.Data, &r); err != nil {
			j.t.Fatal(err)
		}
		return r
	}
}

// send is try for what must succeed.
func (j *job) send(what string, more map[string]any) {
	j.t.Helper()
	if r := j.try(what, more); !r.OK {
		j.t.Fatalf("%s %d: %+v, the log has %d", what, j.n+1, r.Error, r.N)
	}
	if what != "heartbeat" {
		j.n++
	}
}

// patiently is send to a broker that may be away for a moment.
func (j *job) patiently(what string, more map[string]any) {
	j.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		r := j.try(what, more)
		if r.OK {
			j.n++
			return
		}
		if r.Error.Code != fault.Unavailable && r.Error.Code != fault.OutcomeUnknown || time.Now().After(deadline) {
			j.t.Fatalf("%s %d: %+v, the log has %d", what, j.n+1, r.Error, r.N)
		}
	}
}

func (j *job) accept() {
	j.t.Helper()
	j.send("accept", map[string]any{"worker": j.name})
	if err := j.msg.Ack(); err != nil {
		j.t.Fatal(err)
	}
}

func (j *job) chunk(text string) { j.t.Helper(); j.send("chunk", map[string]any{"text": text}) }

// answer is a whole answer in words.
func (w *worker) answer(words ...string) *job {
	w.t.Helper()
	j := w.take()
	j.accept()
	for _, s := range words {
		j.chunk(s)
	}
	j.send("end", nil)
	return j
}
