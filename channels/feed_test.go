package channels

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"parley/acks"
	"parley/broker"
	"parley/internal/rawjson"
)

// tell publishes many messages as agents do, and returns when all are stored.
func tell(t testing.TB, s *Space, to Address, sender broker.Token, count int) {
	r := make(receipts, count)
	for i := range count {
		m := Message{To: to, Sender: sender, ID: fmt.Sprint(sender, i), Members: []rawjson.Member{{Name: "type", Value: []byte(`"message"`)}}}
		if err := s.Publish(t.Context(), m, r); err != nil {
			t.Error(err)
			return
		}
	}
	for range count {
		if o := <-r; o.Err != nil {
			t.Error(o.Err)
		}
	}
}

// inStore returns the sequences of all that the store holds of an address.
func inStore(t testing.TB, s *Space, of Address) (seqs []uint64) {
	t.Helper()
	for from := uint64(1); ; {
		msgs, more, err := s.conn.Read(t.Context(), broker.ReadRequest{Stream: of.stream(), Subject: of.Subject(), FromSeq: from, Limit: 500, MaxBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range msgs {
			seqs, from = append(seqs, m.Seq), m.Seq+1
		}
		if !more {
			return seqs
		}
	}
}

// checkDelivered expects on a socket what the store holds, once and in order.
func checkDelivered(t testing.TB, s *Space, of Address, sock *socket) {
	t.Helper()
	want := inStore(t, s, of)
	got := sock.await(t, len(want))
	for i, d := range got {
		if i >= len(want) || d.Seq != want[i] {
			t.Fatalf("%v: delivery %d of %d is %d; the store holds %d: …%v", of, i, len(got), d.Seq, len(want), want[max(0, i-3):min(len(want), i+3)])
		}
	}
}

// someAddresses are two channels and an inbox.
func someAddresses() []Address {
	return []Address{channel("acme", "a"), channel("acme", "b"), {Tenant: "acme", Agent: "bob"}}
}

func subscribeAll(t testing.TB, s *Space, all []Address) (socks []*socket) {
	t.Helper()
	for _, to := range all {
		sock, _ := subscribe(t, s, to, SubscribeOptions{}, Since{})
		socks = append(socks, sock)
	}
	return socks
}

// TestAloneAgentsAreFed expects that what agents say reaches agents without copies, and without a look into the store.
func TestAloneAgentsAreFed(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{})
	acme, account := n.tenant(t, "acme")
	say(t, acme, channel("acme", "a"), "ann", "before", "anybody listens")
	acme.Release()
	n.hub.Drop("acme") // so that the feed begins in the middle of the stream
	acme = n.open(t, "acme", account)
	copies, err := acme.conn.NATS().SubscribeSync("live.>")
	if err := errors.Join(err, acme.conn.NATS().Flush()); err != nil {
		t.Fatal(err)
	}
	all := someAddresses()
	socks := subscribeAll(t, acme, all)
	var talking sync.WaitGroup
	for _, to := range all {
		for _, who := range []broker.Token{"ann", "cid"} {
			talking.Go(func() { tell(t, acme, to, who, 200) })
		}
	}
	talking.Wait()
	for i, sock := range socks {
		if got := sock.await(t, 400); len(got) != 400 {
			t.Errorf("%d deliveries", len(got))
		}
		for j, d := range sock.await(t, 400)[1:] {
			if before := sock.lines[j]; d.Seq <= before.Seq {
				t.Fatalf("%v: %d behind %d", all[i], d.Seq, before.Seq)
			}
		}
	}
	say(t, acme, all[0], "ann", "cid0", "an id of somebody else")
	o := say(t, acme, all[0], "ann", "ann0", "a repetition")
	if got := socks[0].await(t, 401); !o.Duplicate || len(got) != 401 || got[400].ID != "cid0" {
		t.Errorf("outcome %+v; %d deliveries, the last %+v", o, len(got), got[len(got)-1])
	}
	later, _ := subscribe(t, acme, channel("acme", "c"), SubscribeOptions{}, Since{})
	say(t, acme, channel("acme", "c"), "ann", "c", "a topic that was opened later")
	later.await(t, 1)
	if n, _, err := copies.Pending(); err != nil || n > 0 {
		t.Errorf("%d live copies, %v", n, err)
	}
	if n := n.hub.counts.repairs.Value(); n > 0 {
		t.Errorf("topics read what they were told: %d times", n)
	}
}

// TestWhatOthersStoreIsNotSkipped has messages come into the streams that the feed is not told of, as when answers are lost.
func TestWhatOthersStoreIsNotSkipped(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{})
	acme, account := n.tenant(t, "acme")
	all := someAddresses()
	socks := subscribeAll(t, acme, all)
	others := func(to Address, count int) {
		for i := range count {
			if _, err := acme.conn.JetStream().Publish(t.Context(), string(to.Subject()), []byte(strconv.Itoa(i))); err != nil {
				t.Error(err)
			}
		}
	}
	var talking sync.WaitGroup
	for _, to := range all {
		talking.Go(func() { tell(t, acme, to, "ann", 500) })
		talking.Go(func() { others(to, 100) })
	}
	talking.Wait()
	for i, to := range all {
		say(t, acme, to, "ann", "last", "own")
		checkDelivered(t, acme, to, socks[i])
	}

	others(all[1], 3)
	others(all[2], 2)
	acme.feed.Lost()
	for i, to := range all {
		checkDelivered(t, acme, to, socks[i])
	}
	others(all[0], 3)
	connectService(t, n, account) // whoever else has written here until the copies begin
	checkDelivered(t, acme, all[0], socks[0])
}

// TestALookDuringAReadIsNotForgotten has a topic look while it is reading already.
func TestALookDuringAReadIsNotForgotten(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{})
	acme, _ := n.tenant(t, "acme")
	to := channel("acme", "a")
	sock, sub := subscribe(t, acme, to, SubscribeOptions{}, Since{})
	done := make(chan struct{})
	sub.topic.shard.do(func() {
		defer close(done)
		sub.topic.repairing = true // and it has read
		if _, err := acme.conn.JetStream().Publish(t.Context(), string(to.Subject()), []byte("1")); err != nil {
			t.Error(err)
		}
		sub.topic.recheck()
		if !sub.topic.repaired(0, nil, false) {
			t.Error("the look was forgotten")
		}
		sub.topic.repair()
	})
	<-done
	sock.await(t, 1)
}

// TestFullLanesAreReadBack fills the lane of a shard, so that some of what is fed finds no room, and less later on does.
func TestFullLanesAreReadBack(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{Shards: 1})
	acme, _ := n.tenant(t, "acme")
	all := someAddresses()
	socks := subscribeAll(t, acme, all)
	for round := range 3 {
		held, hold := make(chan struct{}), make(chan struct{})
		n.hub.shards[0].do(func() { close(held); <-hold })
		<-held
		var talking sync.WaitGroup
		for i, to := range all {
			talking.Go(func() { tell(t, acme, to, broker.Token(fmt.Sprint("ann", i, "-", round)), liveQueue/2) })
		}
		talking.Wait()
		close(hold)
		for i, to := range all {
			say(t, acme, to, "ann", fmt.Sprint("last", round), "one more")
			checkDelivered(t, acme, to, socks[i])
		}
	}
}

// TestASmallMessageFitsBehindALargeOne leaves a lane so full that a large message finds no room, and a small one behind it does.
func TestASmallMessageFitsBehindALargeOne(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{Shards: 1})
	acme, _ := n.tenant(t, "acme")
	to := channel("acme", "a")
	sock, _ := subscribe(t, acme, to, SubscribeOptions{}, Since{})
	held, hold := make(chan struct{}), make(chan struct{})
	n.hub.shards[0].do(func() { close(held); <-hold })
	<-held
	say(t, acme, to, "ann", "0", "so that the lane is not empty")
	acme.lanes[0].in.mu.Lock()
	acme.lanes[0].here.text = append(acme.lanes[0].here.text, make([]byte, liveBytes-len(acme.lanes[0].here.text)-1000)...)
	acme.lanes[0].in.mu.Unlock()
	say(t, acme, to, "ann", "1", strings.Repeat("large", 1000))
	say(t, acme, to, "ann", "2", "small")
	if dropped := n.hub.counts.dropped.Value(); dropped != 1 {
		t.Errorf("%d messages found no room, want 1", dropped)
	}
	close(hold)
	sock.await(t, 3)
	checkDelivered(t, acme, to, sock)
}

// TestCopiesBeginUnderLoad issues credentials while agents talk. Nothing is lost, twice or out of order for them, before and after
// the service begins to talk as well; and it hears all that is stored from when it listens.
func TestCopiesBeginUnderLoad(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{})
	acme, account := n.tenant(t, "acme")
	all := someAddresses()
	socks := subscribeAll(t, acme, all)
	const count = 1500
	var talking sync.WaitGroup
	begun := make(chan struct{}, len(all))
	for _, to := range all {
		talking.Go(func() {
			tell(t, acme, to, "ann", 200)
			begun <- struct{}{}
			tell(t, acme, to, "cid", count)
		})
	}
	<-begun
	service := connectService(t, n, account)
	service.listen(t, acme, all)
	for i := range 300 {
		for _, to := range all {
			if err := service.nc.Publish(string(to.Subject()), []byte(strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := service.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	talking.Wait()
	for i, to := range all {
		say(t, acme, to, "ann", "last", "own")
		checkDelivered(t, acme, to, socks[i])
		service.check(t, acme, to)
	}
	if !acme.conn.Copied(broker.Channels) || !acme.conn.Copied(broker.Inboxes) {
		t.Error("no copies are made")
	}
}

// service is a NATS client with credentials, and what it hears.
type service struct {
	nc     *nats.Conn
	copies map[Address]*nats.Subscription
	from   map[Address]uint64 // the newest message when it had subscribed
}

func connectService(t testing.TB, n *node, account broker.AccountID) *service {
	t.Helper()
	creds, _, err := n.Creds(t.Context(), account, broker.CredsRequest{
		Name: "svc", Publish: []string{"channel.>", "agent.>"}, Subscribe: []string{"live.channel.>", "live.agent.>"},
	})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(n.ServicesURL(), nats.UserCredentialBytes(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return &service{nc, map[Address]*nats.Subscription{}, map[Address]uint64{}}
}

func (c *service) listen(t testing.TB, s *Space, all []Address) {
	t.Helper()
	for _, to := range all {
		sub, err := c.nc.SubscribeSync(string(to.Subject().Live()))
		if err := errors.Join(err, c.nc.Flush()); err != nil {
			t.Fatal(err)
		}
		c.copies[to] = sub
		if c.from[to], err = s.conn.Last(t.Context(), to.stream(), to.Subject()); err != nil {
			t.Fatal(err)
		}
	}
}

// check expects a copy of each message that was stored since the service has listened, each with the one before it.
func (c *service) check(t testing.TB, s *Space, of Address) {
	t.Helper()
	seqs := inStore(t, s, of)
	var previous uint64
	for _, seq := range seqs {
		if seq <= c.from[of] {
			previous = seq
			continue
		}
		var got, before string
		for got == "" || atoi(t, got) <= c.from[of] { // copies of what was stored meanwhile may come, too
			m, err := c.copies[of].NextMsgWithContext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got, before = m.Header.Get("Nats-Sequence"), m.Header.Get("Nats-Last-Sequence")
		}
		if atoi(t, got) != seq || atoi(t, before) != previous {
			t.Fatalf("%v: the copy of %s behind %s, want %d behind %d", of, got, before, seq, previous)
		}
		previous = seq
	}
}

func atoi(t testing.TB, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRestartsWithAndWithoutCopies goes on with streams that make copies, first without anybody who could hear them.
func TestRestartsWithAndWithoutCopies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := startNode(t, dir, Config{})
	_, account := n.tenant(t, "acme")
	all := someAddresses()
	connectService(t, n, account)
	for _, served := range []bool{false, true} {
		n.Stop()
		n = startNode(t, dir, Config{})
		n.NoteAccount(broker.Account{ID: account, Served: served})
		acme := n.open(t, "acme", account)
		if got := acme.conn.Copied(broker.Channels); got != served || (acme.feed == nil) != served {
			t.Errorf("credentials %t, copies %t", served, got)
		}
		for i, sock := range subscribeAll(t, acme, all) {
			from := acks.Outcome{}
			for j := range 5 {
				o := say(t, acme, all[i], "ann", fmt.Sprint(served, j), "hello")
				if j == 0 {
					from = o
				}
			}
			if got := sock.await(t, 5); len(got) != 5 || got[0].Seq != from.Seq || got[4].Seq != from.Seq+4 {
				t.Errorf("%v: got %+v", all[i], got)
			}
		}
	}
}
