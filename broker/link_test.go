package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// heard is a Taker that keeps copies of what it takes, and tells of pauses.
type heard struct {
	arrivals chan Arrival
	paused   chan struct{}
}

func listener() *heard { return &heard{make(chan Arrival, 100), make(chan struct{}, 100)} }

func (h *heard) Take(m *Arrival) {
	h.arrivals <- Arrival{m.Sub, slices.Clone(m.Subject), slices.Clone(m.Reply), slices.Clone(m.Header), slices.Clone(m.Data)}
}

func (h *heard) Pause() { h.paused <- struct{}{} }

// links are both kinds of Link to an account.
func links(t *testing.T) map[string]Link {
	t.Helper()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff})
	id := mustAccount(t, e)
	c := mustAcquire(t, e, id)
	if err := errors.Join(e.makeCopies(t.Context(), id), c.Ensure(t.Context(), Channels)); err != nil {
		t.Fatal(err)
	}
	own, err := c.Link()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Link(); err != nil || again != own {
		t.Fatalf("a second Link is %v, %v; want the first", again, err)
	}
	return map[string]Link{"pipe": own, "client": &clientLink{nc: c.NATS()}}
}

func TestLinkStoresAndHears(t *testing.T) {
	t.Parallel()
	number := uint64(0)
	for name, l := range links(t) {
		t.Run(name, func(t *testing.T) {
			a, b := ChannelSubject(Name(name+"a")), ChannelSubject(Name(name+"b"))
			live, answers := listener(), listener()
			sub, err := l.Subscribe(string(a.Live()), live)
			if err != nil {
				t.Fatal(err)
			}
			inbox := "answers." + name
			if _, err := l.Subscribe(inbox+".*", answers); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := l.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			before := number
			big := strings.Repeat("x", 100<<10) // more than is read at once
			for i, m := range []Departure{{Subject: a, Data: []byte("one")}, {Subject: b}, {Subject: a, MsgID: "i" + name, Data: []byte(big), TTL: time.Hour}, {Subject: a, MsgID: "i" + name}} {
				m.Inbox, m.Number = inbox, uint64(i)
				if err := l.Publish(m); err != nil {
					t.Fatal(err)
				}
				got := <-answers.arrivals
				if n, ok := got.Number(); !ok || n != uint64(i) || got.Status() != "" {
					t.Fatalf("the answer to message %d is %s %s", i, got.Subject, got.Data)
				}
				if again := strings.Contains(string(got.Data), "duplicate"); again != (i == 3) {
					t.Fatalf("the answer to message %d is %s", i, got.Data)
				}
				<-answers.paused
				if i < 3 {
					number++
				}
			}
			for _, want := range []struct {
				seq, previous uint64
				data          string
			}{{before + 1, 0, "one"}, {before + 3, before + 1, big}} {
				got := <-live.arrivals
				msg, previous, err := DecodeLive(got.Header, got.Data)
				if err != nil || msg.Seq != want.seq || previous != want.previous || string(msg.Data) != want.data || got.Sub != sub {
					t.Fatalf("the copy of message %d: sequence %d behind %d, %d bytes, %v", want.seq, msg.Seq, previous, len(msg.Data), err)
				}
				if age := time.Since(msg.Time); age < 0 || age > time.Hour {
					t.Fatalf("the copy of message %d is of %v", want.seq, msg.Time)
				}
			}
			late := before // not the newest on its subject
			if err := l.Publish(Departure{Subject: a, Inbox: inbox, After: &late}); err != nil {
				t.Fatal(err)
			}
			if got := <-answers.arrivals; !strings.Contains(string(got.Data), "10071") {
				t.Fatalf("the answer to a message on condition is %s", got.Data)
			}
			l.Unsubscribe(sub)
			nobody := Departure{Subject: "nobody.here", Inbox: inbox, Number: 1 << 63}
			if err := l.Publish(nobody); err != nil {
				t.Fatal(err)
			}
			if got := <-answers.arrivals; got.Status() != "503" {
				t.Fatalf("from nobody came %s %s", got.Header, got.Data)
			}
		})
	}
}

func TestLinkComesBack(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff})
	c := mustAcquire(t, e, mustAccount(t, e))
	l, err := c.Link()
	if err != nil {
		t.Fatal(err)
	}
	h := listener()
	if _, err := l.Subscribe("x.*", h); err != nil {
		t.Fatal(err)
	}
	losses, stop := c.Losses()
	defer stop()
	list, err := e.server.Connz(&server.ConnzOptions{Username: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range list.Conns {
		if info.Lang == linkLang {
			if err := e.server.DisconnectClientByID(info.Cid); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-losses
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.NATS().Publish("x.y", []byte("still here")); err != nil {
		t.Fatal(err)
	}
	if got := <-h.arrivals; string(got.Data) != "still here" {
		t.Fatalf("heard %s", got.Data)
	}
}

func TestClosedLink(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff})
	id := mustAccount(t, e)
	c := mustAcquire(t, e, id)
	l, err := c.Link()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.PutAccount(t.Context(), Account{ID: id, Suspended: true}); err != nil {
		t.Fatal(err)
	}
	if err := l.Publish(Departure{Subject: "channel.a"}); err == nil {
		t.Error("a message could be published")
	}
	if _, err := l.Subscribe("x", listener()); err == nil {
		t.Error("a subscription could be made")
	}
	if err := l.Flush(t.Context()); err == nil {
		t.Error("it could be flushed")
	}
	if _, err := c.Link(); err == nil {
		t.Error("another one could be opened")
	}
}

func TestDecodeLiveBelievesTheServerOnly(t *testing.T) {
	t.Parallel()
	const own = "Nats-Stream: CHANNELS\r\nNats-Subject: channel.a\r\nNats-Sequence: 7\r\nNats-Time-Stamp: 2026-11-21T12:00:00.5Z\r\nNats-Last-Sequence: 3\r\n\r\n"
	for _, header := range []string{
		"NATS/1.0\r\n" + own,
		"NATS/1.0\r\nNats-Sequence: 99\r\nNats-Last-Sequence: 98\r\nNats-Time-Stamp: x\r\n" + own,
	} {
		msg, previous, err := DecodeLive([]byte(header), []byte("x"))
		if err != nil || msg.Seq != 7 || previous != 3 || msg.Time.Nanosecond() != 5e8 {
			t.Errorf("%q: %+v, %d, %v", header, msg, previous, err)
		}
	}
	for _, header := range []string{"", "NATS/1.0\r\n\r\n", "NATS/1.0\r\nNats-Sequence: x\r\n\r\n", "NATS/1.0\r\nNats-Sequence: 1\r\n\r\n"} {
		if _, _, err := DecodeLive([]byte(header), nil); err == nil {
			t.Errorf("%q was read", header)
		}
	}
}

func TestNextOperation(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"PING\r\nrest":                             "2 ping",
		"MSG a.b 7 5\r\nhello\r\n":                 "msg a.b 7  hello",
		"MSG a.b 7 reply 0\r\n\r\n":                "msg a.b 7  ",
		"HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n": "msg a 1 NATS/1.0 hi",
		"+OK\r\n":                      "other",
		"-ERR 'no'\r\n":                "err 'no'",
		"MSG a 1 5\r\nhel":             "needs 18",
		"PI":                           "needs 3",
		"MSG a 1 x\r\n":                "refused",
		"MSG a 1 2\r\nhello\r\n":       "refused",
		"MSG a\r\n":                    "refused",
		"MSG a 1 2 3 4 5\r\n":          "refused",
		"HMSG a 1 9 2\r\nhi\r\n":       "refused",
		"MSG a 1 99999999\r\n":         "refused",
		strings.Repeat("x", maxLine+1): "refused",
	} {
		o, used, need, err := nextOperation([]byte(text))
		got := map[op]string{opPing: "2 ping", opOther: "other", opErr: "err " + string(o.text)}[o.op]
		switch {
		case err != nil:
			got = "refused"
		case used == 0:
			got = fmt.Sprint("needs ", need)
		case o.op == opMsg:
			got = fmt.Sprintf("msg %s %d %s %s", o.subject, o.sid, strings.TrimSpace(string(o.header)), o.data)
		}
		if got != want {
			t.Errorf("%.40q: %s, want %s", text, got, want)
		}
	}
}

func FuzzNextOperation(f *testing.F) {
	f.Add([]byte("HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPING\r\n"))
	f.Add(appendPublish(nil, Departure{Subject: "a", Inbox: "b", MsgID: "c", Data: []byte("d")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, used, need, err := nextOperation(b)
		if err == nil && (used > len(b) || used == 0 && need <= len(b)) {
			t.Fatalf("%q: %d bytes used, %d needed", b, used, need)
		}
	})
}

func TestLinkIsAskedAndAnswers(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff})
	c := mustAcquire(t, e, mustAccount(t, e))
	own, err := c.Link()
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]Link{"pipe": own, "client": &clientLink{nc: c.NATS()}} {
		t.Run(name, func(t *testing.T) {
			asked := listener()
			if _, err := l.Subscribe("ask."+name, asked); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := l.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			answers, err := c.NATS().SubscribeSync("answer." + name)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.NATS().PublishRequest("ask."+name, answers.Subject, []byte("?")); err != nil {
				t.Fatal(err)
			}
			got := <-asked.arrivals
			if string(got.Reply) != answers.Subject || string(got.Data) != "?" {
				t.Fatalf("asked %s, to be answered at %s", got.Data, got.Reply)
			}
			if err := l.Publish(Departure{Subject: Subject(got.Reply), Data: []byte("!")}); err != nil {
				t.Fatal(err)
			}
			m, err := answers.NextMsg(time.Minute)
			if err != nil || string(m.Data) != "!" || m.Reply != "" {
				t.Fatalf("answered %+v, %v", m, err)
			}
		})
	}
}
