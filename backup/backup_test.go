package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/broker/brokertest"
	"parley/internal/fault"
	"parley/tenants"
)

// installation is a broker of one node without its edges.
type installation struct {
	t        *testing.T
	engine   *broker.Engine
	registry *tenants.Registry
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	n := brokertest.Start(t, broker.Config{Listen: broker.ListenOff})
	r, err := tenants.Open(t.Context(), n.Engine, tenants.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.Run(r.Run)
	return &installation{t, n.Engine, r}
}

func (i *installation) create(id tenants.ID) tenants.Tenant {
	i.t.Helper()
	t, _, err := i.registry.Create(i.t.Context(), tenants.Spec{ID: id})
	if err != nil {
		i.t.Fatal(err)
	}
	return t
}

// visit opens the tenant's account until the test ends.
func (i *installation) visit(id tenants.ID) *broker.Conn {
	i.t.Helper()
	t, err := i.registry.Get(id)
	if err != nil {
		i.t.Fatal(err)
	}
	c, leave, err := i.engine.Visit(i.t.Context(), t.Account)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(leave)
	return c
}

func (i *installation) archive(order Order) []byte {
	i.t.Helper()
	var b bytes.Buffer
	if err := Write(i.t.Context(), Source{i.engine, i.registry, "test"}, order, &b); err != nil {
		i.t.Fatal(err)
	}
	return b.Bytes()
}

func (i *installation) restore(wish Wish, archive []byte) (Restored, error) {
	return Restore(i.t.Context(), Target{i.engine, i.registry}, wish, bytes.NewReader(archive))
}

func (i *installation) mustRestore(wish Wish, archive []byte) Restored {
	i.t.Helper()
	done, err := i.restore(wish, archive)
	if err != nil {
		i.t.Fatal(err)
	}
	return done
}

// publish stores a message and returns its sequence.
func publish(t *testing.T, c *broker.Conn, subject, id, data string) uint64 {
	t.Helper()
	m := nats.NewMsg(subject)
	m.Data = []byte(data)
	m.Header.Set(nats.MsgIdHdr, id)
	ack, err := c.JetStream().PublishMsg(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

func ensure(t *testing.T, c *broker.Conn, streams ...broker.Stream) {
	t.Helper()
	for _, s := range streams {
		if err := c.Ensure(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// content is all that an account's streams hold.
type content struct {
	images   []broker.StreamImage
	messages []broker.RawMessage
}

// Stream implements broker.StreamTaker.
func (c *content) Stream(image broker.StreamImage) error {
	image.FirstSeq = max(image.FirstSeq, 1) // of an empty stream, both 0 and 1 are said
	c.images = append(c.images, image)
	return nil
}

// Message implements broker.StreamTaker.
func (c *content) Message(m broker.RawMessage) error {
	c.messages = append(c.messages, m)
	return nil
}

func contentOf(t *testing.T, c *broker.Conn) (all content) {
	t.Helper()
	names, err := c.StreamNames(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := c.CopyStream(t.Context(), name, &all); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func wantCode(t *testing.T, what string, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Errorf("%s: %q (%v), want %q", what, fault.CodeOf(err), err, code)
	}
}

// fill makes a tenant with some of everything: messages with holes between them, binary ones, a bucket, and a consumer that
// has acknowledged a part, not in order.
func fill(t *testing.T, c *broker.Conn) {
	ensure(t, c, broker.Channels, broker.Inboxes, broker.Sessions, broker.Work)
	for n := range 20 {
		publish(t, c, fmt.Sprintf("channel.room-%d", n%3), fmt.Sprint("id-", n), fmt.Sprintf("message %d é\u2028<&>", n))
	}
	publish(t, c, "channel.binary", "bin", "\x00\xff\xfe binary")
	publish(t, c, "agent.bob", "dm", "")
	publish(t, c, "work.ai", "w", `{"prompt":"hello"}`)
	stream, err := c.JetStream().Stream(t.Context(), string(broker.Channels))
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{1, 2, 7, 21} { // at the beginning, in the middle, and at the end
		if err := stream.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	kv, err := c.Bucket(t.Context(), broker.SessionsBucket)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"s.one", "s.two", "s.one"} {
		if _, err := kv.PutString(t.Context(), key, `{"id":"`+key+`"}`); err != nil {
			t.Fatal(err)
		}
	}
	if err := kv.Delete(t.Context(), "s.two"); err != nil {
		t.Fatal(err)
	}
	place, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "d=billing=room-1", FilterSubject: "channel.room-1", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := place.FetchNoWait(4)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for m := range batch.Messages() {
		if n++; n != 2 { // the second one stays on its way
			if err := m.DoubleAck(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n != 4 {
		t.Fatalf("the consumer got %d messages", n)
	}
}

// TestRoundTrip restores a tenant on another installation: all messages with their sequences and times, buckets, consumers
// and keys are what they were.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	a, b := newInstallation(t), newInstallation(t)
	a.create("acme")
	source := a.visit("acme")
	fill(t, source)
	_, apiKey, err := a.registry.CreateAPIKey(t.Context(), "acme", tenants.APIKeySpec{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.registry.IssueToken(t.Context(), tenants.TokenSpec{Tenant: "acme", Agent: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	archive := a.archive(Order{})
	before := contentOf(t, source)
	done := b.mustRestore(Wish{}, archive)
	if len(done.Tenants) != 1 || done.Tenants[0].Messages != uint64(len(before.messages)) || done.Tenants[0].Places != 1 {
		t.Errorf("restored %+v of %d messages", done, len(before.messages))
	}
	target := b.visit("acme")
	after := contentOf(t, target)
	compare(t, before, after)
	if _, err := b.registry.Verify(t.Context(), token); err != nil {
		t.Errorf("the token: %v", err)
	}
	if _, err := b.registry.VerifyAPIKey(apiKey); err != nil {
		t.Errorf("the API key: %v", err)
	}
	place, err := target.JetStream().Consumer(t.Context(), "CHANNELS", "d=billing=room-1")
	if err != nil {
		t.Fatal(err)
	}
	if info := place.CachedInfo(); info.NumAckPending != 1 || info.NumPending != 2 {
		t.Errorf("the consumer waits for %d and has %d before it", info.NumAckPending, info.NumPending)
	}
	if seq := publish(t, target, "channel.room-1", "next", "next"); seq != 22 {
		t.Errorf("the next message has the sequence %d", seq)
	}
}

func compare(t *testing.T, before, after content) {
	t.Helper()
	if len(before.images) != len(after.images) || len(before.messages) != len(after.messages) {
		t.Fatalf("%d streams and %d messages have become %d and %d", len(before.images), len(before.messages), len(after.images), len(after.messages))
	}
	for i, m := range before.messages {
		if got := after.messages[i]; !reflect.DeepEqual(got, m) {
			t.Errorf("%+v\nhas become\n%+v", m, got)
		}
	}
	for i, was := range before.images {
		got := after.images[i]
		if got.Name != was.Name || got.FirstSeq != was.FirstSeq || got.LastSeq != was.LastSeq || got.Messages != was.Messages || len(got.Places) != len(was.Places) {
			t.Errorf("%+v\nhas become\n%+v", was, got)
		}
		for n := range was.Places {
			if was, got := stateOf(t, was.Places[n]), stateOf(t, got.Places[n]); !reflect.DeepEqual(was, got) {
				t.Errorf("the place %v\nhas become\n%v", was, got)
			}
		}
	}
}

func stateOf(t *testing.T, place json.RawMessage) any {
	t.Helper()
	var p struct {
		State map[string]any `json:"state"`
	}
	if err := json.Unmarshal(place, &p); err != nil {
		t.Fatal(err)
	}
	return p.State
}

// TestRestoreBesideAndInPlace restores what exists already: refused, under another name, and in its place.
func TestRestoreBesideAndInPlace(t *testing.T) {
	t.Parallel()
	a := newInstallation(t)
	first := a.create("acme")
	a.create("other")
	c := a.visit("acme")
	ensure(t, c, broker.Channels)
	publish(t, c, "channel.x", "1", "before")
	if _, _, err := a.registry.CreateAPIKey(t.Context(), "acme", tenants.APIKeySpec{}); err != nil {
		t.Fatal(err)
	}
	archive := a.archive(Order{})
	publish(t, c, "channel.x", "2", "after")

	_, err := a.restore(Wish{}, archive)
	wantCode(t, "all exist", err, fault.AlreadyExists)
	_, err = a.restore(Wish{Tenant: "nobody"}, archive)
	wantCode(t, "not in it", err, fault.NotFound)
	_, err = a.restore(Wish{As: "x"}, archive)
	wantCode(t, "which one", err, fault.Usage)
	_, err = a.restore(Wish{Tenant: "acme", As: "a.b"}, archive)
	wantCode(t, "a bad name", err, fault.InvalidID)

	a.mustRestore(Wish{Tenant: "acme", As: "copy"}, archive)
	if got := contentOf(t, a.visit("copy")); len(got.messages) != 1 {
		t.Errorf("the copy has %d messages", len(got.messages))
	}
	if copied, err := a.registry.Get("copy"); err != nil || len(copied.APIKeys) != 0 || copied.Account == first.Account {
		t.Errorf("the copy is %+v, %v", copied, err)
	}
	if got := contentOf(t, c); len(got.messages) != 2 {
		t.Errorf("the original has %d messages", len(got.messages))
	}

	done := a.mustRestore(Wish{Tenant: "acme", Replace: true}, archive)
	if len(done.Tenants) != 1 || done.Tenants[0].APIKeys != 1 {
		t.Errorf("restored %+v", done)
	}
	if got := contentOf(t, a.visit("acme")); len(got.messages) != 1 {
		t.Errorf("in its place are %d messages", len(got.messages))
	}
	if now, err := a.registry.Get("acme"); err != nil || now.Account == first.Account || now.State != tenants.Active {
		t.Errorf("in its place is %+v, %v", now, err)
	}
	if _, err := a.engine.Acquire(t.Context(), first.Account); err == nil {
		t.Error("the account that was replaced is still there")
	}
}

// TestSuspendedTenant: a tenant that is suspended is in the backup, and is suspended when it is restored.
func TestSuspendedTenant(t *testing.T) {
	t.Parallel()
	a, b := newInstallation(t), newInstallation(t)
	a.create("acme")
	c := a.visit("acme")
	ensure(t, c, broker.Channels)
	publish(t, c, "channel.x", "1", "one")
	if _, err := a.registry.Suspend(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	done := b.mustRestore(Wish{}, a.archive(Order{}))
	if len(done.Tenants) != 1 || done.Tenants[0].Messages != 1 {
		t.Errorf("restored %+v", done)
	}
	if got, err := b.registry.Get("acme"); err != nil || got.State != tenants.Suspended {
		t.Errorf("restored %+v, %v", got, err)
	}
	if _, err := b.registry.Resume(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if got := contentOf(t, b.visit("acme")); len(got.messages) != 1 {
		t.Errorf("%d messages", len(got.messages))
	}
}

// TestWithoutSecrets: what is left out is not in the archive, and the tenant gets a key of its own when it is restored.
func TestWithoutSecrets(t *testing.T) {
	t.Parallel()
	a, b := newInstallation(t), newInstallation(t)
	a.create("acme")
	secret := bytes.Repeat([]byte("S3cr3t!"), 5)
	if _, _, err := a.registry.AddKey(t.Context(), "acme", tenants.KeySpec{Kid: "shared", Secret: secret}); err != nil {
		t.Fatal(err)
	}
	archive := a.archive(Order{WithoutSecrets: true})
	if bytes.Contains(archive, []byte("shared")) || bytes.Contains(archive, []byte("UzNjcjN0")) {
		t.Error("the archive holds a secret")
	}
	b.mustRestore(Wish{}, archive)
	if _, err := b.registry.IssueToken(t.Context(), tenants.TokenSpec{Tenant: "acme", Agent: "bob"}); err != nil {
		t.Error(err)
	}
}

// TestRestoreFailsWhole: what was begun of a tenant that can't be finished is gone, and the one it was to replace serves on.
func TestRestoreFailsWhole(t *testing.T) {
	t.Parallel()
	a := newInstallation(t)
	acme := a.create("acme")
	c := a.visit("acme")
	ensure(t, c, broker.Channels)
	publish(t, c, "channel.x", "1", "one")
	archive := a.archive(Order{})
	for _, wish := range []Wish{{Tenant: "acme", As: "copy"}, {Tenant: "acme", Replace: true}} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Restore(ctx, Target{a.engine, a.registry}, wish, &interrupted{Reader: bytes.NewReader(archive), cancel: cancel})
		cancel()
		if err == nil {
			t.Fatalf("%+v: restored", wish)
		}
		if list := a.registry.List(); len(list) != 1 || list[0].Account != acme.Account {
			t.Errorf("%+v: there is %+v", wish, list)
		}
	}
	if got := contentOf(t, c); len(got.messages) != 1 {
		t.Errorf("the tenant has %d messages", len(got.messages))
	}
	a.mustRestore(Wish{Tenant: "acme", As: "copy"}, archive)
}

// interrupted ends the context when the archive is read for the second time.
type interrupted struct {
	*bytes.Reader
	cancel func()
	again  bool
}

// Seek implements io.Seeker.
func (i *interrupted) Seek(offset int64, whence int) (int64, error) {
	i.again = true
	return i.Reader.Seek(offset, whence)
}

// Read implements io.Reader.
func (i *interrupted) Read(p []byte) (int, error) {
	if i.again && i.Len() < int(i.Size())*3/4 {
		i.cancel()
	}
	return i.Reader.Read(p)
}

var _ io.ReadSeeker = (*interrupted)(nil)
