package acks

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"parley/broker"
)

// notes is a Follower that writes down what it hears.
type notes chan string

func (n notes) Stored(m Stored) { n <- fmt.Sprintf("%s %s %d", m.Subject, m.Data, m.Seq) }
func (n notes) Pause()          {}
func (n notes) Lost()           { n <- "lost" }

func (n notes) expect(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for range want {
		select {
		case s := <-n:
			got = append(got, s)
		case <-time.After(20 * time.Second):
			t.Fatalf("heard %q, want %q", got, want)
		}
	}
	if len(n) > 0 || !slices.Equal(got, want) {
		t.Fatalf("heard %q and %d more, want %q", got, len(n), want)
	}
}

// TestFollowerHearsWhatIsStored stands in the stream's place: it stores, recognises, refuses, and forgets to answer.
func TestFollowerHearsWhatIsStored(t *testing.T) {
	b := setup(t)
	heard := make(notes, 10)
	p := b.publisher(t, Config{Follower: heard, Timeout: time.Hour})
	stream := b.leader(t)
	say := func(id string) (*nats.Msg, receipts) {
		r := b.publish(t, p, "bob", id)[0]
		return stream.expect(id)[0], r
	}

	m, r := say("first")
	stream.answer(m, "")
	if o := <-r; o.Err != nil {
		t.Fatal(o.Err)
	}
	heard.expect(t, "agent.bob first 1")
	m, r = say("again")
	stream.answer(m, `,"duplicate":true`)
	<-r
	m, r = say("refused")
	if err := m.Respond([]byte(`{"error":{"err_code":10077}}`)); err != nil {
		t.Fatal(err)
	}
	<-r
	if err := p.Pass(Message{Subject: "agent.bob", Data: []byte("ephemeral")}, broker.AgentSubject("bob").Live(), r); err != nil {
		t.Fatal(err)
	}
	stream.expect("ephemeral")
	<-r
	heard.expect(t)

	m, r = say("late")
	p.expire(time.Now())
	heard.expect(t)
	p.expire(time.Now().Add(2 * time.Hour))
	<-r
	heard.expect(t, "lost")
	stream.answer(m, "")
	heard.expect(t, "lost")
	m, r = say("next")
	stream.answer(m, "")
	<-r
	heard.expect(t, "agent.bob next 4")
	_, r = say("open")
	p.Close()
	<-r
	heard.expect(t)
}
