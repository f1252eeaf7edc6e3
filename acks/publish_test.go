package acks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"parley/broker"
	"parley/broker/brokertest"
	"parley/internal/fault"
	"parley/tenants"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a tenant's connection with a committer that runs.
type bundle struct {
	engine    *broker.Engine
	conn      *broker.Conn
	committer *Committer
	syncs     chan struct{} // one value a sync
	rounds    atomic.Int64
	syncErr   error
}

// connect starts a node with a tenant, whose connection it returns.
func connect(t testing.TB) (*brokertest.Node, *broker.Conn) {
	t.Helper()
	n := brokertest.Start(t, broker.Config{Listen: broker.ListenOff})
	conn, err := n.Acquire(t.Context(), brokertest.NewAccount(t, "acme", n))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Release)
	if err := conn.Ensure(t.Context(), broker.Channels); err != nil {
		t.Fatal(err)
	}
	return n, conn
}

func setup(t testing.TB) *bundle {
	t.Helper()
	n, conn := connect(t)
	b := &bundle{engine: n.Engine, conn: conn, syncs: make(chan struct{}, 1000)}
	b.committer = NewCommitter(func() error {
		b.rounds.Add(1)
		select {
		case b.syncs <- struct{}{}:
		default: // a benchmark only counts them
		}
		return errors.Join(b.syncErr, n.Sync())
	})
	n.Run(b.committer.Run)
	return b
}

// flush returns when the server knows of subscriptions that were changed: what is published takes another way.
func (b *bundle) flush(t *testing.T) {
	t.Helper()
	if err := b.conn.NATS().FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) publisher(t *testing.T, cfg Config) *Publisher {
	t.Helper()
	p, err := NewPublisher(b.conn, b.committer, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// receipts collects outcomes in the order of their arrival.
type receipts chan Outcome

func (r receipts) Settle(o Outcome) { r <- o }

func (r receipts) Flush() {}

func TestPublishIsSettledInOrderAfterASync(t *testing.T) {
	b := setup(t)
	p := b.publisher(t, Config{})
	got := make(receipts, 100)
	for i := range 100 {
		m := Message{Subject: broker.ChannelSubject("x"), Data: fmt.Append(nil, i)}
		if err := p.Publish(t.Context(), m, got); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		if o := <-got; o.Err != nil || o.Seq != uint64(i+1) || o.Duplicate {
			t.Fatalf("outcome %d = %+v", i, o)
		}
		if i == 0 && len(b.syncs) == 0 {
			t.Fatal("settled before the first sync")
		}
	}
}

func TestIdsBelongToSenderAndDestination(t *testing.T) {
	b := setup(t)
	p := b.publisher(t, Config{})
	got := make(receipts, 1)
	a, c := broker.ChannelSubject("a"), broker.ChannelSubject("c")
	for _, tt := range []struct {
		m    Message
		want Outcome
	}{
		{Message{Subject: a, Sender: "ann", ID: "1"}, Outcome{Seq: 1}},
		{Message{Subject: a, Sender: "ann", ID: "1"}, Outcome{Seq: 1, Duplicate: true}},
		{Message{Subject: a, Sender: "eve", ID: "1"}, Outcome{Seq: 2}},
		{Message{Subject: c, Sender: "ann", ID: "1"}, Outcome{Seq: 3}},
		{Message{Subject: a, Sender: "ann", ID: "2"}, Outcome{Seq: 4}},
		{Message{Subject: a, Sender: "ann"}, Outcome{Seq: 5}},
		{Message{Subject: a, Sender: "ann"}, Outcome{Seq: 6}},
	} {
		if err := p.Publish(t.Context(), tt.m, got); err != nil {
			t.Fatal(err)
		}
		if o := <-got; o != tt.want {
			t.Errorf("%+v: outcome %+v, want %+v", tt.m, o, tt.want)
		}
	}
}

func TestFailedSyncAcknowledgesNothing(t *testing.T) {
	b := setup(t)
	b.syncErr = errors.New("disk on fire")
	p := b.publisher(t, Config{})
	got := make(receipts, 1)
	if err := p.Publish(t.Context(), Message{Subject: broker.ChannelSubject("x")}, got); err != nil {
		t.Fatal(err)
	}
	if o := <-got; fault.CodeOf(o.Err) != fault.OutcomeUnknown {
		t.Errorf("outcome %+v, want OUTCOME_UNKNOWN", o)
	}
}

func TestNoStreamIsACertainFailure(t *testing.T) {
	b := setup(t)
	p := b.publisher(t, Config{})
	got := make(receipts, 1)
	if err := p.Publish(t.Context(), Message{Subject: broker.AgentSubject("bob")}, got); err != nil {
		t.Fatal(err)
	}
	if o := <-got; fault.CodeOf(o.Err) != fault.Unavailable {
		t.Errorf("outcome %+v, want UNAVAILABLE", o)
	}
	if len(b.syncs) != 0 {
		t.Error("a failure was synced")
	}
}

// TestSilentStoreBoundsTheWindow stands somebody who never answers in the stream's place.
func TestSilentStoreBoundsTheWindow(t *testing.T) {
	b := setup(t)
	silent, err := b.conn.NATS().SubscribeSync("agent.>")
	if err != nil {
		t.Fatal(err)
	}
	b.flush(t)
	p := b.publisher(t, Config{WindowBytes: 4 * slotOverhead, Timeout: time.Hour})
	got := make(receipts, 10)
	m := Message{Subject: broker.AgentSubject("bob"), Sender: "ann", ID: "1"}
	for range 4 {
		if err := p.Publish(t.Context(), m, got); err != nil {
			t.Fatal(err)
		}
	}
	full, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Publish(full, m, got); !errors.Is(err, context.Canceled) {
		t.Fatalf("Publish into a full window: %v, want the context's end", err)
	}
	p.expire(time.Now().Add(2 * time.Hour))
	for range 4 {
		if o := <-got; fault.CodeOf(o.Err) != fault.OutcomeUnknown {
			t.Errorf("outcome %+v, want OUTCOME_UNKNOWN", o)
		}
	}
	if err := p.Publish(t.Context(), m, got); err != nil {
		t.Fatalf("Publish after the window was freed: %v", err)
	}
	// An answer that comes after its time settles nothing twice.
	late, err := silent.NextMsgWithContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Respond([]byte(`{"stream":"INBOXES","seq":1}`)); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if o := <-got; fault.CodeOf(o.Err) != fault.OutcomeUnknown || len(got) != 0 {
		t.Errorf("outcome %+v and %d more, want one OUTCOME_UNKNOWN", o, len(got))
	}
	if err := p.Publish(t.Context(), m, got); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Publish after Close: %v, want UNAVAILABLE", err)
	}
}

func TestParsePubAck(t *testing.T) {
	for _, tt := range []struct {
		data string
		want fault.Code
		seq  uint64
	}{
		{`{"stream":"CHANNELS","seq":7}`, "", 7},
		{`{"stream":"CHANNELS", "seq":18446744073709551615}`, "", 1<<64 - 1},
		{`{"stream":"CHANNELS","seq":7,"duplicate": true}`, "", 7},
		{`{"stream":"CHANNELS","domain":"x","seq":7}`, "", 7},
		{`{"stream":"CHANNELS","seq":7}x`, fault.OutcomeUnknown, 0},
		{`{"stream":"CHANNELS","seq":7,"duplicate":`, fault.OutcomeUnknown, 0},
		{`{"error":{"code":503,"err_code":10023,"description":"x"}}`, fault.Unavailable, 0},
		{`{"error":{"code":400,"err_code":10002,"description":"x"}}`, fault.StorageFull, 0},
		{`{"error":{"code":503,"err_code":10077,"description":"x"}}`, fault.StorageFull, 0},
		{`nonsense`, fault.OutcomeUnknown, 0},
		{``, fault.OutcomeUnknown, 0},
	} {
		if o := parsePubAck(&broker.Arrival{Data: []byte(tt.data)}); fault.CodeOf(o.Err) != tt.want || o.Seq != tt.seq {
			t.Errorf("%s: %+v, want %s %d", tt.data, o, tt.want, tt.seq)
		}
	}
}

func BenchmarkDurablePublish(b *testing.B) {
	n, conn := connect(b)
	committer := NewCommitter(n.Sync)
	n.Run(committer.Run)
	p, err := NewPublisher(conn, committer, Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	data := make([]byte, 256)
	for _, window := range []int{1, 1600} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			got := make(receipts, window)
			sent := 0
			for b.Loop() {
				if sent >= window {
					if o := <-got; o.Err != nil {
						b.Fatal(o.Err)
					}
				}
				sent++
				if err := p.Publish(b.Context(), Message{Subject: "channel.bench", Data: data}, got); err != nil {
					b.Fatal(err)
				}
			}
			for range min(sent, window) {
				<-got
			}
		})
	}
}

// TestRoundWaitsForWhatIsUnderWay confirms messages one by one and looks when they are settled.
func TestRoundWaitsForWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var syncs atomic.Int64
		c := NewCommitter(func() error { syncs.Add(1); return nil })
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = c.Run(ctx) })
		defer done.Wait()
		defer stop()
		got := make(receipts, 10)
		expect := func(step string, wantSettled int, wantSyncs int64) {
			t.Helper()
			synctest.Wait()
			if len(got) != wantSettled || syncs.Load() != wantSyncs {
				t.Fatalf("%s: %d settled after %d syncs, want %d after %d", step, len(got), syncs.Load(), wantSettled, wantSyncs)
			}
		}
		synctest.Wait()
		c.confirm(settled{receipt: got, outcome: Outcome{Seq: 1}, meter: new(tenants.Meter)})
		expect("a message alone", 1, 1)
		c.underWay.Store(4)
		c.confirm(settled{receipt: got, outcome: Outcome{Seq: 2}, meter: new(tenants.Meter)})
		c.confirm(settled{receipt: got, outcome: Outcome{Seq: 3}, meter: new(tenants.Meter)})
		expect("two of five", 1, 1)
		c.confirm(settled{receipt: got, outcome: Outcome{Seq: 4}, meter: new(tenants.Meter)})
		expect("three of five", 4, 2)
		c.underWay.Store(0)
		c.confirm(settled{receipt: got, outcome: Outcome{Seq: 5}, meter: new(tenants.Meter)})
		c.confirm(settled{receipt: got, outcome: Outcome{Seq: 6}, meter: new(tenants.Meter)})
		expect("two, behind a round of three", 4, 2)
		<-time.After(maxGather) // on the bubble's clock
		expect("two, for as long as a round waits", 6, 3)
		c.confirm(settled{receipt: got, outcome: Outcome{Seq: 7}, meter: new(tenants.Meter)})
		c.confirm(settled{receipt: got, outcome: Outcome{Seq: 8}, meter: new(tenants.Meter)})
		expect("as many as the round before", 8, 4)
	})
}

// TestNumbersAreUsedAgain looks at which messages go by a number that another one had: never by one whose answer may
// still come.
func TestNumbersAreUsedAgain(t *testing.T) {
	for _, tt := range []struct {
		resend, answered bool
		want             uint64
	}{{false, true, 1}, {false, false, 2}, {true, true, 2}, {true, false, 2}} {
		b := setup(t)
		p := b.publisher(t, Config{Resend: tt.resend})
		take := func() uint64 {
			number, _, err := p.take(slot{receipt: make(receipts, 2), cost: 0}, Message{Subject: "channel.c"})
			if err != nil {
				t.Fatal(err)
			}
			return number
		}
		p.release(take(), tt.answered)
		if got := take(); got != tt.want {
			t.Errorf("sent again %t, answered %t: the next message has number %d, want %d", tt.resend, tt.answered, got, tt.want)
		}
	}
}
