package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that will come.
const patience = 30 * time.Second

// engine is a NATS server with an account for each of two tenants, which can go away and come back.
type engine struct {
	t      testing.TB
	config string
	port   int
	server *server.Server
}

const engineConfig = `
listen: "127.0.0.1:%d"
jetstream { store_dir: %q }
accounts {
  a { jetstream: enabled, users: [{user: a, password: a}] }
  b { jetstream: enabled, users: [{user: b, password: b}] }
}
`

func startEngine(t testing.TB) *engine {
	t.Helper()
	dir := t.TempDir()
	e := &engine{t: t, config: filepath.Join(dir, "nats.conf"), port: -1}
	e.start(filepath.Join(dir, "store"))
	t.Cleanup(func() { e.stop() })
	return e
}

func (e *engine) start(store string) {
	e.t.Helper()
	if err := os.WriteFile(e.config, fmt.Appendf(nil, engineConfig, e.port, store), 0o600); err != nil {
		e.t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(e.config)
	if err != nil {
		e.t.Fatal(err)
	}
	options.NoSigs = true
	if e.server, err = server.NewServer(options); err != nil {
		e.t.Fatal(err)
	}
	e.server.Start()
	if !e.server.ReadyForConnections(patience) {
		e.t.Fatal("the server did not start")
	}
	_, port, _ := splitPort(e.server.ClientURL())
	e.port = port
}

func splitPort(url string) (host string, port int, err error) {
	_, err = fmt.Sscanf(url, "nats://127.0.0.1:%d", &port)
	return "127.0.0.1", port, err
}

func (e *engine) stop() {
	e.server.Shutdown()
	e.server.WaitForShutdown()
}

func (e *engine) restart() {
	e.t.Helper()
	e.start(filepath.Join(filepath.Dir(e.config), "store"))
}

// connect connects to the account of a tenant, for as long as the test lasts.
func (e *engine) connect(tenant string) *nats.Conn {
	e.t.Helper()
	nc, err := nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", e.port), nats.UserInfo(tenant, tenant),
		nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(nc.Close)
	return nc
}

// peer is the broker's side of the protocol in one tenant, with an answer on the table that scripts may spoil.
type peer struct {
	t  testing.TB
	nc *nats.Conn
	js jetstream.JetStream

	mu      sync.Mutex
	sub     *nats.Subscription
	logs    map[string][]message // guarded by mu; by run
	changed chan struct{}        // guarded by mu; closed with the next message
	spoil   func(message) spoilt // guarded by mu; nil is for peace
}

// spoilt is what a script does to a message.
type spoilt int

const (
	fine        spoilt = iota
	unseen             // as if it had never arrived
	unanswered         // taken, but the reply is lost
	unavailable        // refused for now
	gone               // refused for good
	refused            // not understood
)

func newPeer(t testing.TB, e *engine, tenant string) *peer {
	t.Helper()
	p := &peer{t: t, nc: e.connect(tenant), logs: map[string][]message{}, changed: make(chan struct{})}
	var err error
	if p.js, err = jetstream.New(p.nc); err != nil {
		t.Fatal(err)
	}
	if _, err = p.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: workStream, Subjects: []string{"work.>"}, Retention: jetstream.WorkQueuePolicy}); err != nil {
		t.Fatal(err)
	}
	if _, err = p.js.CreateConsumer(t.Context(), workStream, jetstream.ConsumerConfig{
		Durable: "ai", FilterSubject: "work.ai", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 5 * time.Second,
	}); err != nil {
		t.Fatal(err)
	}
	p.listen()
	return p
}

func (p *peer) listen() {
	p.t.Helper()
	sub, err := p.nc.Subscribe("session.*.run", p.hear)
	if err == nil {
		err = p.nc.FlushTimeout(patience)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sub = sub
}

// leave makes nobody respond.
func (p *peer) leave() {
	p.mu.Lock()
	sub := p.sub
	p.mu.Unlock()
	if err := sub.Unsubscribe(); err != nil {
		p.t.Error(err)
	}
}

func (p *peer) spoilWith(f func(message) spoilt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoil = f
}

func (p *peer) hear(m *nats.Msg) {
	var said message
	if err := json.Unmarshal(m.Data, &said); err != nil {
		p.t.Errorf("heard %q: %v", m.Data, err)
		return
	}
	if reply := p.judge(said); reply != nil {
		data, _ := json.Marshal(reply)
		_ = m.Respond(data)
	}
}

func (p *peer) judge(said message) *verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	how := fine
	if p.spoil != nil {
		how = p.spoil(said)
	}
	switch how {
	case unseen:
		return nil
	case unavailable:
		return &verdict{Error: &reason{Code: codeUnavailable}}
	case gone:
		return &verdict{Error: &reason{Code: codeGone}}
	case refused:
		return &verdict{Error: &reason{Code: "INVALID_FORMAT", Message: "no"}}
	case fine, unanswered:
	}
	log := p.logs[said.Run]
	last := uint64(len(log))
	switch {
	case said.N <= last && said.Type == typeAccept && said.Worker != log[0].Worker:
		return &verdict{Error: &reason{Code: codeGone}}
	case said.N > last+1:
		return &verdict{N: last, Error: &reason{Code: codeOutOfOrder}}
	case said.N == last+1:
		last++
		p.logs[said.Run] = append(log, said)
		close(p.changed)
		p.changed = make(chan struct{})
	}
	if how == unanswered {
		return nil
	}
	return &verdict{OK: true, N: last}
}

// ask publishes a request that was changed by with.
func (p *peer) ask(run string, with func(*Request)) {
	p.t.Helper()
	r := &Request{
		Session: "s1", Run: run, Attempt: 1, Epoch: 1, Queue: "ai", ReplyTo: "session.s1.run", Control: "session.s1.control",
		User: "u1", Text: run, History: []Turn{{Role: "user", Text: run}}, Deadline: time.Now().Add(time.Minute),
	}
	if with != nil {
		with(r)
	}
	data, err := json.Marshal(r)
	if err == nil {
		_, err = p.js.Publish(p.t.Context(), "work.ai", data)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// log returns a run's messages once enough is true of them.
func (p *peer) log(run string, enough func([]message) bool) []message {
	p.t.Helper()
	late := time.After(patience)
	for {
		p.mu.Lock()
		log, changed := p.logs[run], p.changed
		p.mu.Unlock()
		if enough(log) {
			return log
		}
		select {
		case <-changed:
		case <-late:
			p.t.Fatalf("waited in vain; the log of %s is %+v", run, log)
		}
	}
}

func ended(log []message) bool {
	last := len(log) - 1
	return last >= 0 && (log[last].Type == typeEnd || log[last].Type == typeError)
}

func text(log []message) (all string) {
	for _, m := range log {
		all += m.Text
	}
	return all
}

// startWorker runs a worker until the test ends. What it returns ends it before, and returns what Run has returned.
func startWorker(t testing.TB, cfg Config, h Handler) (stop func() error) {
	t.Helper()
	if testing.Verbose() {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg, h) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(patience):
			t.Error("the worker did not end")
			return nil
		}
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}
