package broker

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// copiesOf is where a stream's live copies appear, "" when it makes none.
func copiesOf(t *testing.T, c *Conn, s Stream) string {
	t.Helper()
	var stream jetstream.Stream
	err := c.Insist(t.Context(), func(ctx context.Context) (err error) {
		stream, err = c.js.Stream(ctx, string(s))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if copies := stream.CachedInfo().Config.RePublish; copies != nil {
		return copies.Destination
	}
	return ""
}

// ensureAnew is Ensure at the first use of a connection.
func ensureAnew(t *testing.T, c *Conn, s Stream) {
	t.Helper()
	clear(c.streams)
	if err := c.Ensure(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

// TestAloneNoCopiesAreMade takes streams that were made by a cluster to one node, and back.
func TestAloneNoCopiesAreMade(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff})
	for s, copies := range map[Stream]*jetstream.RePublish{
		Channels: republish("channel.>"), Inboxes: republish("agent.>"), Sessions: republish(">"),
	} {
		c := mustAcquire(t, e, mustAccount(t, e))
		cfg := c.streamConfig(s)
		cfg.RePublish = copies
		if _, err := c.js.CreateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			ensureAnew(t, c, s)
			if got := copiesOf(t, c, s); got != "" {
				t.Errorf("alone, %s makes copies on %s", s, got)
			}
		}
		if made := c.copying.made(s); made != nil && c.Copied(s) {
			t.Errorf("alone, %s is said to make copies", s)
		}
		if err := c.amend(t.Context(), s, copies); err != nil || copiesOf(t, c, s) != copies.Destination {
			t.Errorf("among several nodes the copies of %s are on %q, %v", s, copiesOf(t, c, s), err)
		}
	}
}

// TestCredentialsHaveCopiesMade issues credentials before a stream is made, after it, and for services that have nothing to
// do with messages.
func TestCredentialsHaveCopiesMade(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff})
	id := mustAccount(t, e)
	c := mustAcquire(t, e, id)
	ensureAnew(t, c, Channels)
	lost := 0
	defer c.OnLoss(func() { lost++ })()
	issue := func(req CredsRequest) {
		t.Helper()
		if _, _, err := e.Creds(t.Context(), id, req); err != nil {
			t.Fatal(err)
		}
	}
	issue(CredsRequest{Name: "w", Queue: "ai", Publish: []string{"tool.weather"}})
	issue(CredsRequest{Name: "desk", Publish: []string{"session.*.do.*"}, Subscribe: []string{"live.session.>", "status.>", "_INBOX.>"}})
	if _, _, err := e.Creds(t.Context(), id, CredsRequest{Name: "a.b", Publish: []string{"channel.>"}}); err == nil {
		t.Error("credentials of a bad name")
	}
	if copiesOf(t, c, Channels) != "" || c.Copied(Channels) || lost > 0 {
		t.Errorf("copies are made for services that neither hear nor publish messages, and %d times somebody had to look", lost)
	}

	issue(CredsRequest{Name: "svc", Subscribe: []string{"live.channel.a"}})
	if copiesOf(t, c, Channels) != "live.channel.>" || !c.Copied(Channels) || !c.Copied(Inboxes) || lost != 1 {
		t.Errorf("channels have copies on %q, %v and %v, and %d times somebody had to look", copiesOf(t, c, Channels), c.Copied(Channels), c.Copied(Inboxes), lost)
	}
	issue(CredsRequest{Name: "svc", Subscribe: []string{"live.channel.a"}})
	if lost != 1 {
		t.Errorf("%d times somebody had to look", lost)
	}
	ensureAnew(t, c, Channels)
	ensureAnew(t, c, Inboxes)
	if copiesOf(t, c, Channels) != "live.channel.>" || copiesOf(t, c, Inboxes) != "live.agent.>" {
		t.Errorf("copies on %q and %q", copiesOf(t, c, Channels), copiesOf(t, c, Inboxes))
	}
	if err := e.ApplyHistoryAge(t.Context(), Account{ID: id, HistoryAge: -1}); err != nil || copiesOf(t, c, Channels) != "live.channel.>" {
		t.Errorf("after a change of age: copies on %q, %v", copiesOf(t, c, Channels), err)
	}
}

// TestRestartKeepsCopies expects that the streams go on with copies when there are credentials, and end them when not.
func TestRestartKeepsCopies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := Open(t.Context(), Config{DataDir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	id := mustAccount(t, e)
	creds, _, err := e.Creds(t.Context(), id, CredsRequest{Name: "svc", Publish: []string{"channel.>"}, Subscribe: []string{"live.channel.>"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Acquire(t.Context(), id)
	if err := errors.Join(err, c.Ensure(t.Context(), Channels)); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	e = mustOpen(t, Config{DataDir: dir})
	service, err := nats.Connect(e.ServicesURL(), nats.UserCredentialBytes(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	heard, err := service.SubscribeSync("live.channel.>")
	if err := errors.Join(err, service.Publish("channel.a", []byte("1")), service.Flush()); err != nil {
		t.Fatal(err)
	}
	if m, err := heard.NextMsgWithContext(t.Context()); err != nil || m.Header.Get("Nats-Sequence") != "1" {
		t.Errorf("before anybody else uses the account a service hears %v, %v", m, err)
	}
	e.NoteAccount(Account{ID: id, Served: true})
	c = mustAcquire(t, e, id)
	ensureAnew(t, c, Channels)
	if copiesOf(t, c, Channels) == "" || !c.Copied(Channels) {
		t.Error("there are credentials, and no copies")
	}
	e.copyings.forget(id) // as after another restart, with credentials that are revoked
	c.copying = e.copyings.account(id)
	ensureAnew(t, c, Channels)
	if copiesOf(t, c, Channels) != "" || c.Copied(Channels) {
		t.Error("there are no credentials, but copies")
	}
}

func TestNeedCopies(t *testing.T) {
	for _, s := range []string{"channel.>", "channel.a.b", "agent.*", "agent.bob", "live.>", "live.*.a", "live.channel.a", "live.agent.*"} {
		if !NeedCopies("status.>", s) {
			t.Errorf("not for %s", s)
		}
	}
	if NeedCopies() || NeedCopies("status.agent.>", "session.*.do.*", "live.session.>", "meet.>", "tool.channel.a", "_INBOX.>", "work.ai") {
		t.Error("for what has nothing to do with messages")
	}
}
