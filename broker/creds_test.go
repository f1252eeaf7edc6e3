package broker

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// violations returns a channel of what a service is refused.
func violations(nc *nats.Conn) <-chan error {
	all := make(chan error, 1)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { all <- err })
	return all
}

// mustNotPublish and mustNotSubscribe expect that the server refuses.
func mustNotPublish(t *testing.T, nc *nats.Conn, refused <-chan error, subject string) {
	t.Helper()
	if err := nc.PublishRequest(subject, nc.NewInbox(), nil); err != nil {
		t.Fatal(err)
	}
	wantViolation(t, nc, refused, "publish on "+subject)
}

func mustNotSubscribe(t *testing.T, nc *nats.Conn, refused <-chan error, subject string) {
	t.Helper()
	if _, err := nc.SubscribeSync(subject); err != nil {
		t.Fatal(err)
	}
	wantViolation(t, nc, refused, "subscribe to "+subject)
}

func wantViolation(t *testing.T, nc *nats.Conn, refused <-chan error, what string) {
	t.Helper()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-refused:
		if !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(5 * time.Second):
		t.Errorf("may %s", what)
	}
}

func TestWorkerMayDoItsWorkOnly(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0"})
	ctx := t.Context()
	id := mustAccount(t, e)
	c := mustAcquire(t, e, id)
	for _, queue := range []Token{"ai", "other"} {
		if err := c.EnsureQueue(ctx, queue); err != nil {
			t.Fatal(err)
		}
		if _, err := c.JetStream().Publish(ctx, string(WorkSubject(queue)), []byte("for "+queue)); err != nil {
			t.Fatal(err)
		}
	}
	creds, _, err := e.Creds(t.Context(), id, CredsRequest{Name: "w", Queue: "ai", Publish: []string{"tool.weather"}})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(e.ServicesURL(), nats.UserCredentialBytes(creds), nats.NoReconnect(), nats.CustomInboxPrefix("_INBOX.w"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	refused := violations(nc)

	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	queue, err := js.Consumer(ctx, string(Work), "ai")
	if err != nil {
		t.Fatalf("find the queue: %v", err)
	}
	m, err := queue.Next()
	if err != nil || string(m.Data()) != "for ai" {
		t.Fatalf("pull: %v, %v", m, err)
	}
	if err := m.DoubleAck(ctx); err != nil {
		t.Errorf("acknowledge: %v", err)
	}
	if _, err := c.NATS().Subscribe(string(SessionRun("s1")), func(m *nats.Msg) { _ = m.Respond([]byte("heard")) }); err != nil {
		t.Fatal(err)
	}
	if err := c.NATS().Flush(); err != nil {
		t.Fatal(err)
	}
	if reply, err := nc.Request(string(SessionRun("s1")), nil, 5*time.Second); err != nil || string(reply.Data) != "heard" {
		t.Errorf("answer: %v", err)
	}
	if _, err := nc.Request("tool.weather", nil, 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("ask a tool: %v", err)
	}
	control, err := nc.SubscribeSync(string(SessionControl("s1")))
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := c.NATS().Publish(string(SessionControl("s1")), []byte("stop")); err != nil {
		t.Fatal(err)
	}
	if _, err := control.NextMsg(5 * time.Second); err != nil {
		t.Errorf("be told to stop: %v", err)
	}

	for _, subject := range []string{
		"$JS.API.CONSUMER.INFO.WORK.other", "$JS.API.CONSUMER.MSG.NEXT.WORK.other", "$JS.ACK.WORK.other.1.1.1.1.0", "$JS.API.CONSUMER.CREATE.WORK",
		"$JS.API.CONSUMER.CREATE.WORK.mine.work.other", "$JS.API.CONSUMER.DELETE.WORK.ai", "$JS.API.CONSUMER.PAUSE.WORK.ai", "$JS.API.CONSUMER.LIST.WORK",
		"$JS.API.STREAM.CREATE.MINE", "$JS.API.STREAM.DELETE.WORK", "$JS.API.STREAM.PURGE.WORK", "$JS.API.STREAM.INFO.WORK", "$JS.API.STREAM.NAMES",
		"$JS.API.STREAM.MSG.GET.SESSIONS", "$JS.API.DIRECT.GET.SESSIONS", "$JS.API.INFO", "$KV.sessions.s.x", "$SYS.REQ.ACCOUNT.PING",
		"work.ai", "work.other", "session.s1.log", "session.s1.control", "session.s1.do.stop", "session.s1.typing", "live.session.s1.log",
		"gateway.session.s1", "channel.general", "agent.bob", "status.agent.bob", "tool.other", "_INBOX.w.x", "_GW.x",
	} {
		mustNotPublish(t, nc, refused, subject)
	}
	for _, subject := range []string{
		"work.ai", "work.>", "session.s1.log", "session.s1.run", "session.>", "live.session.s1.log", "live.channel.general", "channel.general", "agent.bob",
		"gateway.>", "_INBOX.>", "_INBOX.other.>", "_GW.>", "$JS.API.>", "$JS.ACK.>", "$JS.EVENT.>", "$KV.>", "tool.weather", ">",
	} {
		mustNotSubscribe(t, nc, refused, subject)
	}
	if info, err := c.JetStream().Stream(ctx, string(Work)); err != nil || info.CachedInfo().State.Msgs != 1 {
		t.Errorf("the other queue's request is gone: %v", err)
	}
}

func TestServicesWriteNoLogs(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0"})
	nc := connectService(t, e, mustAccount(t, e), CredsRequest{Name: "svc", Publish: []string{"session.>", "session.*.log", "work.>", "tool.>"}, Subscribe: []string{"session.>", "live.>", "_INBOX.>"}})
	refused := violations(nc)
	for _, subject := range []string{"session.s1.log", "work.ai", "live.session.s1.log", "gateway.session.s1", "gateway.x"} {
		mustNotPublish(t, nc, refused, subject)
	}
	if _, err := nc.Request("session.s1.do.info", nil, 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("ask something of a session: %v", err)
	}
}
