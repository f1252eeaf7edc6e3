package acks

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"parley/broker"
	"parley/internal/fault"
)

// leader stands in a stream's place and is told by the test what to do.
type leader struct {
	t    *testing.T
	nc   *nats.Conn
	sub  *nats.Subscription
	last uint64
}

func (b *bundle) leader(t *testing.T) *leader {
	t.Helper()
	sub, err := b.conn.NATS().SubscribeSync("agent.>")
	if err != nil {
		t.Fatal(err)
	}
	b.flush(t)
	return &leader{t: t, nc: b.conn.NATS(), sub: sub}
}

// expect takes messages with these payloads, in this order.
func (l *leader) expect(want ...string) (got []*nats.Msg) {
	l.t.Helper()
	for _, w := range want {
		m, err := l.sub.NextMsgWithContext(l.t.Context())
		if err != nil {
			l.t.Fatal(err)
		}
		if string(m.Data) != w {
			l.t.Fatalf("received %q, want %q", m.Data, w)
		}
		got = append(got, m)
	}
	return got
}

func (l *leader) answer(m *nats.Msg, more string) {
	l.t.Helper()
	l.last++
	if err := m.Respond(fmt.Appendf(nil, `{"stream":"INBOXES","seq":%d%s}`, l.last, more)); err != nil {
		l.t.Fatal(err)
	}
}

// publish sends messages that are as well their ids, and returns where their outcomes arrive.
func (b *bundle) publish(t *testing.T, p *Publisher, to broker.Token, ids ...string) []receipts {
	t.Helper()
	var all []receipts
	for _, id := range ids {
		r := make(receipts, 2)
		m := Message{Subject: broker.AgentSubject(to), Sender: "ann", ID: id, Data: []byte(id)}
		if err := p.Publish(t.Context(), m, r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// TestLostMessagesAreSentAgainInOrder loses three messages with a leader. While nobody has answered the oldest one nothing
// else is sent, a new message neither.
func TestLostMessagesAreSentAgainInOrder(t *testing.T) {
	b := setup(t)
	p := b.publisher(t, Config{Resend: true, Timeout: time.Minute})
	l := b.leader(t)
	got := b.publish(t, p, "bob", "1", "2", "3")
	first := l.expect("1", "2", "3")
	probes := l.expect("1", "1")
	got = append(got, b.publish(t, p, "bob", "4")...)
	if a, b := first[0].Header.Get(nats.MsgIdHdr), probes[1].Header.Get(nats.MsgIdHdr); a != b || a == "" {
		t.Errorf("the ids are %q and %q, want the same one", a, b)
	}
	l.answer(probes[0], `,"duplicate": true`)
	var rest []*nats.Msg
	for len(rest) < 3 { // probes may have been under way
		m, err := l.sub.NextMsgWithContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if string(m.Data) == "1" && len(rest) == 0 {
			continue
		}
		if want := fmt.Sprint(len(rest) + 2); string(m.Data) != want {
			t.Fatalf("received %q, want %q", m.Data, want)
		}
		rest = append(rest, m)
	}
	for _, m := range rest {
		l.answer(m, "")
	}
	for i, r := range got {
		if o := <-r; o != (Outcome{Seq: uint64(i + 1)}) {
			t.Errorf("outcome %d: %+v", i+1, o)
		}
	}
	b.publish(t, p, "bob", "5")
	l.expect("5")
}

// TestOvertakenMessageIsNotSentAgain loses the first of three messages and answers the others.
func TestOvertakenMessageIsNotSentAgain(t *testing.T) {
	b := setup(t)
	p := b.publisher(t, Config{Resend: true, Timeout: time.Minute})
	l := b.leader(t)
	lost := b.publish(t, p, "bob", "lost")[0]
	other := b.publish(t, p, "carol", "other")[0]
	b.publish(t, p, "bob", "later")
	l.answer(l.expect("lost", "other", "later")[2], "")
	if o := <-lost; fault.CodeOf(o.Err) != fault.OutcomeUnknown {
		t.Errorf("outcome of the message that was overtaken: %+v, want OUTCOME_UNKNOWN", o)
	}
	l.answer(l.expect("other")[0], "")
	if o := <-other; o != (Outcome{Seq: 2}) {
		t.Errorf("outcome of the message to somebody else: %+v", o)
	}
}

// TestRepetitionIsNotAnsweredTooEarly has a stream say that it is just storing a message.
func TestRepetitionIsNotAnsweredTooEarly(t *testing.T) {
	b := setup(t)
	p := b.publisher(t, Config{Resend: true, Timeout: time.Minute})
	l := b.leader(t)
	got := b.publish(t, p, "bob", "1")[0]
	if err := l.expect("1")[0].Respond([]byte(`{"error":{"code":409,"err_code":10158,"description":"x"}}`)); err != nil {
		t.Fatal(err)
	}
	l.answer(l.expect("1")[0], `,"duplicate": true`)
	if o := <-got; o != (Outcome{Seq: 1}) {
		t.Errorf("outcome %+v", o)
	}
}

// TestRefusedRepetitionSaysNothing takes the stream away from a message that it may have stored.
func TestRefusedRepetitionSaysNothing(t *testing.T) {
	b := setup(t)
	p := b.publisher(t, Config{Resend: true, Timeout: time.Minute})
	l := b.leader(t)
	lost := b.publish(t, p, "bob", "1")[0]
	l.expect("1")
	if err := l.sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	b.flush(t)
	refused := b.publish(t, p, "bob", "2")[0]
	if o := <-refused; fault.CodeOf(o.Err) != fault.Unavailable {
		t.Errorf("outcome of a message that nobody took: %+v, want UNAVAILABLE", o)
	}
	held := b.publish(t, p, "bob", "3")[0]
	p.expire(time.Now().Add(time.Hour))
	if o := <-lost; fault.CodeOf(o.Err) != fault.OutcomeUnknown {
		t.Errorf("outcome of the message that may be stored: %+v, want OUTCOME_UNKNOWN", o)
	}
	if o := <-held; fault.CodeOf(o.Err) != fault.Unavailable {
		t.Errorf("outcome of the message that was never sent: %+v, want UNAVAILABLE", o)
	}
}
