package channels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"parley/acks"
	"parley/broker"
	"parley/broker/brokertest"
	"parley/internal/fault"
	"parley/internal/rawjson"
	"parley/tenants"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is an engine with a running hub.
type node struct {
	*brokertest.Node
	hub *Hub
}

// startNode runs a node on dir until the test ends or Stop is called.
func startNode(t testing.TB, dir string, cfg Config) *node {
	t.Helper()
	return withHub(brokertest.Start(t, broker.Config{DataDir: dir}), cfg)
}

func withHub(n *brokertest.Node, cfg Config) *node {
	committer := acks.NewCommitter(n.Sync)
	n.Run(committer.Run)
	cfg.Frame = func(dst, message []byte) []byte { return append(append(dst, message...), '\n') }
	hub := NewHub(cfg, n.Engine, committer, n.Log)
	n.Run(hub.Run)
	return &node{n, hub}
}

// tenant makes an account and opens its space.
func (n *node) tenant(t testing.TB, id tenants.ID) (*Space, broker.AccountID) {
	t.Helper()
	account := brokertest.NewAccount(t, string(id), n.Node)
	return n.open(t, id, account), account
}

func (n *node) open(t testing.TB, id tenants.ID, account broker.AccountID) *Space {
	t.Helper()
	s, err := n.hub.Open(t.Context(), id, account)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// socket is a Sink that keeps what it is sent. Its reader decides when it counts as flushed.
type socket struct {
	mu      sync.Mutex
	lines   []delivered
	gaps    []Gap
	queued  uint64
	stuck   bool
	changed chan struct{}
}

type delivered struct {
	Seq       uint64
	ID        string
	Agent     string `json:"agent_id"`
	Tenant    string `json:"tenant_id"`
	Channel   string `json:"channel_id"`
	Target    string
	Type      string
	Timestamp time.Time
	Content   any
	Encoding  string
}

func newSocket() *socket { return &socket{changed: make(chan struct{}, 1)} }

func (s *socket) Send(frames []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued += uint64(len(frames))
	for _, line := range splitLines(frames) {
		var d delivered
		if err := json.Unmarshal(line, &d); err != nil {
			panic(fmt.Sprintf("%s: %v", line, err))
		}
		s.lines = append(s.lines, d)
	}
	s.notify()
	return nil
}

func (s *socket) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func splitLines(b []byte) (lines [][]byte) {
	start := 0
	for i, c := range b {
		if c == '\n' {
			lines = append(lines, b[start:i])
			start = i + 1
		}
	}
	return lines
}

func (s *socket) AwaitBacklog(context.Context, int) error { return nil }

func (s *socket) Gap(_ Address, g Gap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaps = append(s.gaps, g)
	s.notify()
}

func (s *socket) Queued() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued
}

func (s *socket) Flushed() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stuck {
		return 0
	}
	return s.queued
}

// await returns what has been delivered once there are n messages.
func (s *socket) await(t testing.TB, n int) []delivered {
	t.Helper()
	for {
		s.mu.Lock()
		lines := s.lines
		s.mu.Unlock()
		if len(lines) >= n {
			return lines
		}
		select {
		case <-s.changed:
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d messages after 20 s", len(lines), n)
		}
	}
}

type receipts chan acks.Outcome

func (r receipts) Settle(o acks.Outcome) { r <- o }

func (r receipts) Flush() {}

// say publishes and waits until the message is on disk.
func say(t testing.TB, s *Space, to Address, sender broker.Token, id, text string) acks.Outcome {
	t.Helper()
	r := make(receipts, 1)
	content, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	m := Message{To: to, Sender: sender, ID: id, Time: time.Now(), Members: []rawjson.Member{
		{Name: "type", Value: []byte(`"message"`)}, {Name: "content", Value: content},
	}}
	if err := s.Publish(t.Context(), m, r); err != nil {
		t.Fatal(err)
	}
	o := <-r
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	return o
}

func channel(tenant tenants.ID, name broker.Name) Address {
	return Address{Tenant: tenant, Channel: name}
}

func subscribe(t testing.TB, s *Space, to Address, opts SubscribeOptions, since Since) (*socket, *Subscription) {
	t.Helper()
	sub, err := s.Subscribe(t.Context(), to, opts)
	if err != nil {
		t.Fatal(err)
	}
	sock := newSocket()
	sub.Start(sock, since)
	return sock, sub
}

func TestEverySubscriberGetsEverythingInOrder(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{})
	acme, _ := n.tenant(t, "acme")
	evil, _ := n.tenant(t, "evil")
	to := channel("acme", "news.today")
	a, _ := subscribe(t, acme, to, SubscribeOptions{Agent: "ann"}, Since{})
	quiet, _ := subscribe(t, acme, to, SubscribeOptions{Agent: "ann", Quiet: true}, Since{})
	spy, _ := subscribe(t, evil, channel("evil", "news.today"), SubscribeOptions{}, Since{Set: true})
	for i := range 50 {
		sender := broker.Token("ann")
		if i%2 == 1 {
			sender = "bob"
		}
		say(t, acme, to, sender, fmt.Sprint(i), fmt.Sprint("text ", i))
	}
	for i, d := range a.await(t, 50) {
		if d.Seq != uint64(i+1) || d.ID != fmt.Sprint(i) || d.Content != fmt.Sprint("text ", i) || d.Tenant != "acme" || d.Channel != "news.today" {
			t.Fatalf("message %d: %+v", i, d)
		}
	}
	for i, d := range quiet.await(t, 25) {
		if d.Agent != "bob" || d.ID != fmt.Sprint(2*i+1) {
			t.Fatalf("quiet message %d: %+v", i, d)
		}
	}
	say(t, evil, channel("evil", "news.today"), "eve", "1", "own")
	if got := spy.await(t, 1); got[0].Content != "own" || got[0].Tenant != "evil" {
		t.Fatalf("the other tenant got %+v", got)
	}
}

func TestResumeGivesWhatWasMissedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := startNode(t, dir, Config{RingMessages: 5})
	acme, account := n.tenant(t, "acme")
	to, other := channel("acme", "a"), channel("acme", "b")
	for i := range 20 {
		say(t, acme, to, "ann", fmt.Sprint(i), "x")
		say(t, acme, other, "ann", fmt.Sprint(i), "y")
	}
	check := func(t *testing.T, s *Space, since uint64) {
		t.Helper()
		sock, sub := subscribe(t, s, to, SubscribeOptions{}, Since{Set: true, Seq: since})
		defer sub.Close()
		o := say(t, s, to, "ann", fmt.Sprint("live", since, t.Name()), "z")
		h, err := s.History(t.Context(), to, Since{Set: true, Seq: since}, MaxHistory)
		if err != nil {
			t.Fatal(err)
		}
		last := since
		for _, d := range sock.await(t, len(h.Messages)) {
			if d.Seq <= last || d.Channel != "a" {
				t.Fatalf("since %d: %+v after %d", since, d, last)
			}
			last = d.Seq
		}
		if last != o.Seq {
			t.Fatalf("since %d: the last is %d, want %d", since, last, o.Seq)
		}
		if len(sock.gaps) != 0 {
			t.Fatalf("since %d: gaps %v", since, sock.gaps)
		}
	}
	keep, _ := subscribe(t, acme, to, SubscribeOptions{}, Since{}) // so that the ring holds the live ones
	defer keep.await(t, 0)
	for _, since := range []uint64{0, 1, 2, 17, 38, 39, 40} {
		check(t, acme, since)
	}
	n.Stop()
	n = startNode(t, dir, Config{})
	check(t, n.open(t, "acme", account), 30)
}

func TestResumeByTime(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{})
	acme, _ := n.tenant(t, "acme")
	to := channel("acme", "a")
	say(t, acme, to, "ann", "1", "old")
	h, err := acme.History(t.Context(), to, Since{Set: true}, 10)
	if err != nil || len(h.Messages) != 1 {
		t.Fatalf("History = %+v, %v", h, err)
	}
	cut := time.Now()
	say(t, acme, to, "ann", "2", "new")
	sock, _ := subscribe(t, acme, to, SubscribeOptions{}, Since{Set: true, Time: cut})
	future, _ := subscribe(t, acme, to, SubscribeOptions{}, Since{Set: true, Time: cut.Add(time.Hour)})
	if got := sock.await(t, 1); got[0].Content != "new" {
		t.Fatalf("got %+v", got)
	}
	// The one who asks for the future may be admitted later than this; it must then not have missed it.
	say(t, acme, to, "ann", "3", "newest")
	if got := future.await(t, 1); got[len(got)-1].Content != "newest" {
		t.Fatalf("got %+v", got)
	}
}

func TestPositionAheadOfTheStoreIsAGap(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{})
	acme, _ := n.tenant(t, "acme")
	to := channel("acme", "a")
	say(t, acme, to, "ann", "1", "x")
	sock, _ := subscribe(t, acme, to, SubscribeOptions{}, Since{Set: true, Seq: 99})
	<-sock.changed
	if sock.gaps[0] != (Gap{2, 99}) {
		t.Fatalf("gaps %v", sock.gaps)
	}
	say(t, acme, to, "ann", "2", "y")
	if got := sock.await(t, 1); got[0].Seq != 2 {
		t.Fatalf("got %+v", got)
	}
}

func TestOverflowIsReadBack(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{Shards: 1})
	acme, _ := n.tenant(t, "acme")
	to := channel("acme", "a")
	sock, sub := subscribe(t, acme, to, SubscribeOptions{}, Since{})
	hold := make(chan struct{})
	sub.topic.shard.do(func() { <-hold })
	const count = liveQueue + 500
	r := make(receipts, count)
	for i := range count {
		m := Message{To: to, Sender: "ann", ID: fmt.Sprint(i), Members: []rawjson.Member{{Name: "type", Value: []byte(`"message"`)}}}
		if err := acme.Publish(t.Context(), m, r); err != nil {
			t.Fatal(err)
		}
	}
	for range count {
		if o := <-r; o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	close(hold)
	for i, d := range sock.await(t, count) {
		if d.Seq != uint64(i+1) {
			t.Fatalf("message %d has the sequence %d", i, d.Seq)
		}
	}
}

func TestInboxWaitsForItsAgent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := startNode(t, dir, Config{})
	acme, account := n.tenant(t, "acme")
	bob := Address{Tenant: "acme", Agent: "bob"}
	say(t, acme, bob, "ann", "1", "first")
	say(t, acme, Address{Tenant: "acme", Agent: "carol"}, "ann", "1", "not yours")
	say(t, acme, bob, "ann", "2", "second")

	inbox := func(s *Space, stuck bool) (*socket, *Subscription) {
		sub, err := s.SubscribeInbox(t.Context(), "bob")
		if err != nil {
			t.Fatal(err)
		}
		sock := newSocket()
		sock.stuck = stuck
		sub.StartInbox(sock)
		return sock, sub
	}
	stuck, sub := inbox(acme, true)
	if got := stuck.await(t, 2); got[0].Content != "first" || got[1].Content != "second" || got[1].Target != "bob" {
		t.Fatalf("got %+v", got)
	}
	sub.Close()
	sock, sub := inbox(acme, false) // the first socket never took them
	sock.await(t, 2)
	sub.Close()
	sock, sub = inbox(acme, false)
	say(t, acme, bob, "ann", "3", "third")
	if got := sock.await(t, 1); got[0].Content != "third" {
		t.Fatalf("got %+v", got)
	}
	sub.Close()
	n.Stop()
	n = startNode(t, dir, Config{})
	acme = n.open(t, "acme", account)
	say(t, acme, bob, "ann", "4", "fourth")
	sock, _ = inbox(acme, false)
	if got := sock.await(t, 1); got[0].Content != "fourth" {
		t.Fatalf("after the restart: %+v", got)
	}
}

func TestServicesSpeakPlainNATS(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{})
	acme, account := n.tenant(t, "acme")
	creds, _, err := n.Engine.Creds(t.Context(), account, broker.CredsRequest{
		Name: "svc", Publish: []string{"channel.>"}, Subscribe: []string{"channel.>", "status.>"},
	})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := nats.Connect(n.Engine.ServicesURL(), nats.UserCredentialBytes(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer svc.Close()
	to := channel("acme", "a")
	sock, _ := subscribe(t, acme, to, SubscribeOptions{}, Since{})
	heard, err := svc.SubscribeSync("channel.a")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(svc.Publish("channel.a", []byte("raw text")), svc.Publish("channel.b c", nil), svc.Flush()); err != nil {
		t.Log(err) // the second may be refused by the client itself
	}
	if got := sock.await(t, 1); got[0].Content != "raw text" || got[0].Seq != 1 || got[0].Type != "message" || got[0].ID == "" {
		t.Fatalf("got %+v", got)
	}
	if _, err := heard.NextMsgWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	say(t, acme, to, "ann", "m1", "from an agent")
	m, err := heard.NextMsgWithContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var d delivered
	if err := json.Unmarshal(m.Data, &d); err != nil || d.ID != "m1" || d.Agent != "ann" || d.Content != "from an agent" {
		t.Fatalf("the service got %s, %v", m.Data, err)
	}
}

func TestRoster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := startNode(t, dir, Config{})
	acme, account := n.tenant(t, "acme")
	if _, err := acme.Agent("bob"); fault.CodeOf(err) != fault.NotFound {
		t.Fatalf("an agent that never was: %v", err)
	}
	events, err := acme.conn.NATS().SubscribeSync("status.agent.>")
	if err != nil {
		t.Fatal(err)
	}
	expect := func(status Status) {
		t.Helper()
		m, err := events.NextMsgWithContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var e struct{ Status Status }
		if err := json.Unmarshal(m.Data, &e); err != nil || e.Status != status || m.Subject != "status.agent.bob" {
			t.Fatalf("event %s %s, %v; want %s", m.Subject, m.Data, err, status)
		}
	}
	one := acme.Enter("bob")
	expect(Online)
	two := acme.Enter("bob")
	one.Join("news")
	two.Join("news")
	two.Say(Busy)
	expect(Busy)
	one.Leave()
	if a, err := acme.Agent("bob"); err != nil || a.Status != Busy || a.Sockets != 1 || len(a.Channels) != 1 {
		t.Fatalf("bob = %+v, %v", a, err)
	}
	if p := acme.Present("news"); len(p) != 1 || p[0].Agent != "bob" || len(acme.Present("other")) != 0 {
		t.Fatalf("present %v", p)
	}
	two.Leave()
	expect(Offline)
	if len(acme.Present("news")) != 0 {
		t.Fatal("still present")
	}
	acme.Enter("bob") // and the node goes down with it
	expect(Online)
	n.Stop()

	n = startNode(t, dir, Config{})
	acme = n.open(t, "acme", account)
	if a, err := acme.Agent("bob"); err != nil || a.Status != Offline || a.LastSeen.IsZero() {
		t.Fatalf("after the restart bob = %+v, %v", a, err)
	}
	if all := acme.Agents(); len(all) != 1 {
		t.Fatalf("agents %v", all)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{})
	acme, _ := n.tenant(t, "acme")
	a, b := channel("acme", "a"), channel("acme", "b")
	if h, err := acme.History(t.Context(), a, Since{}, 10); err != nil || len(h.Messages) != 0 || h.More {
		t.Fatalf("empty: %+v, %v", h, err)
	}
	say(t, acme, a, "ann", "first", "x")
	for i := range 200 {
		say(t, acme, b, "ann", fmt.Sprint(i), "y")
	}
	for i := range 5 {
		say(t, acme, a, "ann", fmt.Sprint(i), "z")
	}
	ids := func(h History) (ids []string) {
		for _, m := range h.Messages {
			var d delivered
			if err := json.Unmarshal(m, &d); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, d.ID)
		}
		return ids
	}
	for _, tt := range []struct {
		since Since
		limit int
		want  string
		more  bool
	}{
		{Since{}, 3, "[2 3 4]", false},
		{Since{}, 100, "[first 0 1 2 3 4]", false},
		{Since{Set: true}, 2, "[first 0]", true},
		{Since{Set: true, Seq: 1}, 100, "[0 1 2 3 4]", false},
		{Since{Set: true, Seq: 206}, 100, "[]", false},
	} {
		h, err := acme.History(t.Context(), a, tt.since, tt.limit)
		if err != nil || fmt.Sprint(ids(h)) != tt.want || h.More != tt.more || h.Gap != nil {
			t.Errorf("%+v limit %d: %v more %v gap %v, %v; want %s", tt.since, tt.limit, ids(h), h.More, h.Gap, err, tt.want)
		}
	}
	all, err := acme.Channels(t.Context())
	if err != nil || len(all) != 2 {
		t.Errorf("Channels = %v, %v", all, err)
	}
}

func TestDroppedSpaceDeliversNothingMore(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{})
	acme, account := n.tenant(t, "acme")
	to := channel("acme", "a")
	sock, sub := subscribe(t, acme, to, SubscribeOptions{}, Since{})
	n.hub.Drop("acme")
	again := n.open(t, "acme", account)
	say(t, again, to, "ann", "1", "x")
	fresh, _ := subscribe(t, again, to, SubscribeOptions{}, Since{Set: true})
	fresh.await(t, 1)
	if len(sock.lines) != 0 {
		t.Errorf("the old subscription got %v", sock.lines)
	}
	if _, err := acme.Subscribe(t.Context(), to, SubscribeOptions{}); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Subscribe on a dropped space: %v", err)
	}
	sub.Close()
}

func TestIdleTopicsAndSpacesClose(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{Linger: 20 * time.Millisecond})
	acme, _ := n.tenant(t, "acme")
	_, sub := subscribe(t, acme, channel("acme", "a"), SubscribeOptions{}, Since{})
	sub.Close()
	acme.Release()
	<-acme.life.Done()
}
