package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestAnswer(t *testing.T) {
	p := newPeer(t, startEngine(t), "a")
	p.ask("hello", func(r *Request) { r.Claims = json.RawMessage(`{"plan":"gold"}`) })
	startWorker(t, Config{Conns: []*nats.Conn{p.nc}, Name: "tester", Coalesce: time.Hour}, func(_ context.Context, a *Answer) error {
		if a.Request.Text != "hello" || a.Request.User != "u1" || string(a.Request.Claims) != `{"plan":"gold"}` || a.Request.History[0].Text != "hello" {
			t.Errorf("the request is %+v", a.Request)
		}
		a.Chunk("one ")
		a.Chunk("two ")
		a.Chunk("three \xe2\x82")
		a.Chunk("\xac")
		a.ToolCall("c1", "weather", json.RawMessage(`{"city":"Bern"}`))
		a.ToolResult("c1", "weather", json.RawMessage(`"sunny"`))
		a.Chunk("four\xe2")
		a.Usage(10, 2)
		a.Usage(1, 1)
		if a.ToolCall("c2", "weather", json.RawMessage(`{`)) == nil || a.ToolResult("c2", "weather", make([]byte, maxDocument+1)) == nil {
			t.Error("took a tool's arguments that are no JSON, or too much of it")
		}
		if a.FollowUps(strings.Repeat("?", maxQuestion+1)) == nil || a.FollowUps(make([]string, maxQuestions+1)...) == nil {
			t.Error("took too much to follow the answer")
		}
		return a.FollowUps("And tomorrow?", "And in Basel?")
	})
	log := p.log("hello", ended)
	want := []message{
		{Type: typeAccept, Worker: log[0].Worker},
		{Type: typeChunk, Text: "one "}, // the first waits for nothing, the second for the tool
		{Type: typeChunk, Text: "two three €"},
		{Type: typeToolCall, CallID: "c1", Tool: "weather", Arguments: json.RawMessage(`{"city":"Bern"}`)},
		{Type: typeToolResult, CallID: "c1", Tool: "weather", Result: json.RawMessage(`"sunny"`)},
		{Type: typeChunk, Text: "four\uFFFD"},
		{Type: typeFollowUps, Questions: []string{"And tomorrow?", "And in Basel?"}},
		{Type: typeEnd, Usage: &usage{11, 3}},
	}
	for i := range want {
		want[i].Run, want[i].Attempt, want[i].Epoch, want[i].N = "hello", 1, 1, uint64(i+1)
	}
	if !strings.HasPrefix(log[0].Worker, "tester/") || !equalLogs(log, want) {
		t.Errorf("the log is\n%+v, want\n%+v", log, want)
	}
}

// equalLogs compares logs in which pieces of text may have been cut differently.
func equalLogs(a, b []message) bool { return reflect.DeepEqual(joined(a), joined(b)) }

func joined(log []message) (all []message) {
	for _, m := range log {
		m.N = 0
		if last := len(all) - 1; last >= 0 && m.Type == typeChunk && all[last].Type == typeChunk {
			all[last].Text += m.Text
		} else {
			all = append(all, m)
		}
	}
	return all
}

func TestHowAnswersEnd(t *testing.T) {
	p := newPeer(t, startEngine(t), "a")
	outcomes := map[string]error{
		"clean": nil, "secret": errors.New("password=1234"), "retry": &Error{Code: "BUSY", Message: "Too much to do.", Retry: true, Err: errors.New("secret")},
	}
	startWorker(t, Config{Conns: []*nats.Conn{p.nc}}, func(_ context.Context, a *Answer) error {
		if a.Request.Run == "panic" {
			panic("secret")
		}
		return outcomes[a.Request.Run]
	})
	for run, want := range map[string]message{
		"clean":  {Type: typeEnd},
		"secret": {Type: typeError, Code: defaultCode, Message: defaultMessage},
		"panic":  {Type: typeError, Code: defaultCode, Message: defaultMessage},
		"retry":  {Type: typeError, Code: "BUSY", Message: "Too much to do.", Retry: true},
	} {
		p.ask(run, nil)
		log := p.log(run, ended)
		want.Run, want.Attempt, want.Epoch, want.N = run, 1, 1, 2
		if got := log[len(log)-1]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s ended with %+v, want %+v", run, got, want)
		}
	}
}

// long is an answer of many chunks.
func long(n int) Handler {
	return func(_ context.Context, a *Answer) error {
		for range n {
			if err := a.Chunk("ünï "); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestEverythingArrivesOnce(t *testing.T) {
	const chunks = 300
	for name, spoil := range map[string]func(seen int, m message) spoilt{
		"nothing happens":  func(int, message) spoilt { return fine },
		"one is lost":      func(seen int, _ message) spoilt { return when(seen == 5, unseen) },
		"accept is lost":   func(seen int, _ message) spoilt { return when(seen == 1, unseen) },
		"replies are lost": func(seen int, _ message) spoilt { return when(seen%3 != 0, unanswered) },
		"not now":          func(seen int, _ message) spoilt { return when(seen > 4 && seen < 40, unavailable) },
		"the end is lost":  func(seen int, m message) spoilt { return when(m.Type == typeEnd && seen%2 == 0, unseen) },
		"anything": func(_ int, _ message) spoilt {
			return when(rand.IntN(8) == 0, []spoilt{unseen, unanswered, unavailable}[rand.IntN(3)])
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, startEngine(t), "a")
			seen := 0
			p.spoilWith(func(m message) spoilt { seen++; return spoil(seen, m) })
			cfg := Config{Conns: []*nats.Conn{p.nc}, Coalesce: -1, Patience: 300 * time.Millisecond, Heartbeat: 50 * time.Millisecond}
			startWorker(t, cfg, long(chunks))
			p.ask("x", nil)
			if got := text(p.log("x", ended)); got != strings.Repeat("ünï ", chunks) {
				t.Errorf("the text is %q", got)
			}
		})
	}
}

func when(yes bool, s spoilt) spoilt {
	if yes {
		return s
	}
	return fine
}

func TestNobodyResponds(t *testing.T) {
	p := newPeer(t, startEngine(t), "a")
	halfway, back := make(chan struct{}), make(chan struct{})
	startWorker(t, Config{Conns: []*nats.Conn{p.nc}, Coalesce: -1}, func(_ context.Context, a *Answer) error {
		a.Chunk("before ")
		<-halfway
		a.Chunk("while away ")
		<-back
		return a.Chunk("after")
	})
	p.ask("x", nil)
	p.log("x", func(log []message) bool { return text(log) != "" })
	p.leave()
	close(halfway)
	p.listen()
	close(back)
	if got := text(p.log("x", ended)); got != "before while away after" {
		t.Errorf("the text is %q", got)
	}
}

func TestBrokerGoesAway(t *testing.T) {
	e := startEngine(t)
	p := newPeer(t, e, "a")
	nc := e.connect("a")
	away, said, back := make(chan struct{}), make(chan struct{}), make(chan struct{})
	startWorker(t, Config{Conns: []*nats.Conn{nc}, Coalesce: -1}, func(_ context.Context, a *Answer) error {
		a.Chunk("before ")
		if a.Request.Run == "x" {
			<-away
			for range 1000 {
				a.Chunk("away ")
			}
			close(said)
			<-back
		}
		return a.Chunk("after")
	})
	p.ask("x", nil)
	p.log("x", func(log []message) bool { return text(log) != "" })
	e.stop()
	close(away)
	<-said // a broker that is away holds no Handler up
	e.restart()
	close(back)
	if got := text(p.log("x", ended)); got != "before "+strings.Repeat("away ", 1000)+"after" {
		t.Errorf("the text is %.100q of %d bytes", got, len(got))
	}
	p.ask("y", nil)
	p.log("y", ended) // the worker takes requests as before
}

func TestNobodyWaits(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*peer)
		want error
	}{
		"stopped": {func(p *peer) {
			_ = p.nc.Publish("session.s1.control", []byte(`{"type":"typing","active":true}`))
			_ = p.nc.Publish("session.s1.control", []byte(`{"type":"stop","run":"another","attempt":1}`))
			_ = p.nc.Publish("session.s1.control", []byte(`{"type":"stop","run":"x","attempt":2}`))
			if log := p.log("x", func([]message) bool { return true }); ended(log) {
				p.t.Error("stopped for another's sake")
			}
			_ = p.nc.Publish("session.s1.control", []byte(`{"type":"stop","run":"x","attempt":1}`))
		}, ErrStopped},
		"gone":    {func(p *peer) { p.spoilWith(func(message) spoilt { return gone }) }, ErrGone},
		"refused": {func(p *peer) { p.spoilWith(func(message) spoilt { return refused }) }, ErrRefused},
		"lost": {func(p *peer) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.logs["x"] = p.logs["x"][:0]
		}, ErrLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, startEngine(t), "a")
			cause := make(chan error, 1)
			startWorker(t, Config{Conns: []*nats.Conn{p.nc}, Heartbeat: 10 * time.Millisecond}, func(ctx context.Context, a *Answer) error {
				for ctx.Err() == nil {
					a.Chunk("so far ")
					select {
					case <-time.After(20 * time.Millisecond): // the speed of speech
					case <-ctx.Done():
					}
				}
				cause <- context.Cause(ctx)
				return a.Chunk("never")
			})
			p.ask("x", nil)
			p.log("x", func(log []message) bool { return text(log) != "" })
			c.end(p)
			if got := <-cause; !errors.Is(got, c.want) {
				t.Errorf("the context ended with %v, want %v", got, c.want)
			}
			p.spoilWith(nil)
			p.ask("y", nil) // the worker goes on
			p.log("y", func(log []message) bool { return text(log) != "" })
			_ = p.nc.Publish("session.s1.control", []byte(`{"type":"stop","run":"y","attempt":1}`))
			<-cause
			if got := text(p.log("x", func([]message) bool { return true })); strings.Contains(got, "never") {
				t.Errorf("the log has %q", got)
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	p := newPeer(t, startEngine(t), "a")
	stop := startWorker(t, Config{Conns: []*nats.Conn{p.nc}}, func(ctx context.Context, _ *Answer) error {
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, ErrDeadline) {
			t.Errorf("the context ended with %v", cause)
		}
		return nil
	})
	p.ask("late", func(r *Request) { r.Deadline = time.Now().Add(200 * time.Millisecond) })
	p.ask("too late", func(r *Request) { r.Deadline = time.Now().Add(-time.Second) })
	p.emptied()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestGoneBeforeItBegan(t *testing.T) {
	p := newPeer(t, startEngine(t), "a")
	p.spoilWith(func(m message) spoilt { return when(m.Run == "x", gone) })
	startWorker(t, Config{Conns: []*nats.Conn{p.nc}}, func(_ context.Context, a *Answer) error {
		if a.Request.Run == "x" {
			t.Error("the handler was called")
		}
		return nil
	})
	p.ask("x", nil)
	p.ask("y", nil)
	p.log("y", ended)
	p.emptied()
}

// emptied returns once no request waits or is held by a worker.
func (p *peer) emptied() {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		stream, err := p.js.Stream(p.t.Context(), workStream)
		if err != nil {
			p.t.Fatal(err)
		}
		if stream.CachedInfo().State.Msgs == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatal("a request was never acknowledged")
		}
		<-time.After(5 * time.Millisecond) // between two looks
	}
}

func TestContinue(t *testing.T) {
	p := newPeer(t, startEngine(t), "a")
	startWorker(t, Config{Conns: []*nats.Conn{p.nc}, Continue: func(r *Request) bool { return r.Text == "yes" }}, long(1))
	for run, want := range map[string]bool{"yes": true, "no": false} {
		p.ask(run, func(r *Request) { r.Attempt, r.Partial = 2, "so far" })
		if got := p.log(run, ended)[0].Continue; got != want {
			t.Errorf("%s: continue is %v", run, got)
		}
	}
	p.ask("fresh", func(r *Request) { r.Text = "yes" })
	if p.log("fresh", ended)[0].Continue {
		t.Error("continues what had not begun")
	}
	p.ask("silent", func(r *Request) { r.Attempt = 2 })
	if !p.log("silent", ended)[0].Continue {
		t.Error("does not continue an answer of which there is nothing")
	}
}

func TestDrain(t *testing.T) {
	p := newPeer(t, startEngine(t), "a")
	begun, goOn := make(chan struct{}, 1), make(chan struct{})
	handler := func(ctx context.Context, a *Answer) error {
		begun <- struct{}{}
		a.Chunk("begun, ")
		select {
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), ErrDraining) {
				t.Errorf("the context ended with %v", context.Cause(ctx))
			}
		case <-goOn:
		}
		return a.Chunk("done")
	}

	stop := startWorker(t, Config{Conns: []*nats.Conn{p.nc}, Grace: time.Hour}, handler)
	p.ask("patient", nil)
	<-begun
	var stopping sync.WaitGroup
	stopping.Go(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	close(goOn)
	stopping.Wait()
	if log := p.log("patient", ended); text(log) != "begun, done" || log[len(log)-1].Type != typeEnd {
		t.Errorf("the log is %+v", log)
	}

	goOn = nil
	stop = startWorker(t, Config{Conns: []*nats.Conn{p.nc}, Grace: -1}, handler)
	p.ask("impatient", nil)
	<-begun
	p.log("impatient", func(log []message) bool { return text(log) != "" })
	if err := stop(); err != nil {
		t.Error(err)
	}
	log := p.log("impatient", ended)
	if last := log[len(log)-1]; last.Type != typeError || last.Code != codeDraining || !last.Retry || text(log) != "begun, " {
		t.Errorf("the log is %+v", log)
	}
	p.emptied()
}

func TestTenantsTakeTurns(t *testing.T) {
	e := startEngine(t)
	loud, quiet := newPeer(t, e, "a"), newPeer(t, e, "b")
	more := 0 // one answer at a time
	startWorker(t, Config{Conns: []*nats.Conn{loud.nc, quiet.nc}, Concurrency: 1}, func(_ context.Context, a *Answer) error {
		if a.Request.Run != "quiet" { // there is always something to do for the loud one
			more++
			again := *a.Request
			again.Run = fmt.Sprint(more)
			data, err := json.Marshal(again)
			if err != nil {
				return err
			}
			return loud.nc.Publish("work.ai", data)
		}
		return nil
	})
	loud.ask("first", nil)
	loud.ask("second", nil)
	loud.log("10", ended)
	quiet.ask("quiet", nil)
	quiet.log("quiet", ended)
}

func TestBusyWorkerHoldsNothingBack(t *testing.T) {
	p := newPeer(t, startEngine(t), "a")
	busy, goOn := make(chan string, 2), make(chan struct{})
	block := func(_ context.Context, a *Answer) error {
		busy <- a.Request.Run
		<-goOn
		return nil
	}
	startWorker(t, Config{Conns: []*nats.Conn{p.nc}, Concurrency: 1}, block)
	startWorker(t, Config{Conns: []*nats.Conn{p.nc}, Concurrency: 1}, block)
	p.ask("x", nil)
	<-busy
	p.ask("y", nil)
	<-busy // although either worker might have taken it
	close(goOn)
	p.log("x", ended)
	p.log("y", ended)
}

func TestBadRequests(t *testing.T) {
	p := newPeer(t, startEngine(t), "a")
	startWorker(t, Config{Conns: []*nats.Conn{p.nc}}, long(1))
	for _, payload := range []string{"", "no JSON", `{}`, `{"session":"s","run":"r","attempt":1,"reply_to":"a.>","control":"c"}`} {
		if _, err := p.js.Publish(t.Context(), "work.ai", []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	p.ask("good", nil)
	p.log("good", ended)
	p.emptied()
}

func TestAsk(t *testing.T) {
	p := newPeer(t, startEngine(t), "a")
	if _, err := p.nc.Subscribe("tool.ok", func(m *nats.Msg) { _ = m.Respond(append([]byte("re: "), m.Data...)) }); err != nil {
		t.Fatal(err)
	}
	if _, err := p.nc.Subscribe("tool.fails", func(m *nats.Msg) {
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Nats-Service-Error": {"broken"}}})
	}); err != nil {
		t.Fatal(err)
	}
	startWorker(t, Config{Conns: []*nats.Conn{p.nc}}, func(ctx context.Context, a *Answer) error {
		for _, subject := range []string{"tool.ok", "tool.fails", "tool.none"} {
			reply, err := a.Ask(ctx, subject, []byte("hi"))
			if subject == "tool.ok" != (err == nil && string(reply) == "re: hi") {
				t.Errorf("%s: %q, %v", subject, reply, err)
			}
		}
		return nil
	})
	p.ask("x", nil)
	p.log("x", ended)
}

func TestConfigIsChecked(t *testing.T) {
	nc := new(nats.Conn)
	for name, cfg := range map[string]Config{
		"no connection": {}, "nil": {Conns: []*nats.Conn{nil}}, "queue": {Conns: []*nats.Conn{nc}, Queue: "a.b"},
		"concurrency": {Conns: []*nats.Conn{nc}, Concurrency: -1}, "heartbeat": {Conns: []*nats.Conn{nc}, Heartbeat: -1},
	} {
		if err := Run(t.Context(), cfg, long(1)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestClosedConnectionEndsTheWorker(t *testing.T) {
	e := startEngine(t)
	p := newPeer(t, e, "a")
	nc := e.connect("a")
	begun, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- Run(t.Context(), Config{Conns: []*nats.Conn{nc}}, func(ctx context.Context, _ *Answer) error {
			close(begun)
			<-ctx.Done()
			return nil
		})
	}()
	p.ask("x", nil)
	<-begun
	nc.Close()
	if err := <-done; !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("Run returned %v", err)
	}
}
