package ws_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"parley/frontends/ws"
)

func TestCloseFlushesWhatIsQueued(t *testing.T) {
	e := newEdge(t, edgeConfig{Options: ws.Options{QueueBytes: 16 << 20}, sendBuffer: 4 << 10})
	p := e.dialSmall(t, 4<<10)
	c := receive(t, e.conns)
	for seq := range 1000 {
		if err := c.Send(numbered(0, seq, 3000)); err != nil {
			t.Fatal(err)
		}
	}
	c.Close(ws.Restarting, "back soon")
	receive(t, e.ended) // the handler need not wait for the peer
	seen := checker{next: map[int]int{}}
	for range 1000 {
		first, payload := p.next()
		seen.see(t, first, payload)
	}
	if reason := p.expectClose(ws.Restarting); reason != "back soon" {
		t.Errorf("reason %q", reason)
	}
}

func TestFirstCloseCounts(t *testing.T) {
	e := newEdge(t, edgeConfig{})
	p := e.dial(t)
	c := receive(t, e.conns)
	if c.Closed() != nil {
		t.Fatal("closed at the start")
	}
	c.Close(4001, "first")
	c.Close(4002, "second")
	p.expectClose(4001)
	if why := c.Closed(); why.Code != 4001 || why.Reason != "first" || why.ByPeer {
		t.Errorf("closed with %v", why)
	}
}

func TestCloseMakesItsFrameValid(t *testing.T) {
	for _, tt := range []struct {
		code         ws.Code
		reason       string
		wantCode     ws.Code
		wantReasonOf int
	}{
		{ws.Normal, strings.Repeat("x", 124), ws.Normal, 123},
		{ws.Normal, strings.Repeat("€", 50), ws.Normal, 123},
		{ws.Normal, "x" + strings.Repeat("€", 50), ws.Normal, 121},
		{ws.Normal, "\xff", ws.Normal, 3},
		{ws.Abnormal, "", ws.InternalError, 0},
		{0, "", ws.InternalError, 0},
	} {
		e := newEdge(t, edgeConfig{})
		p := e.dial(t)
		receive(t, e.conns).Close(tt.code, tt.reason)
		if reason := p.expectClose(tt.wantCode); len(reason) != tt.wantReasonOf || !utf8.ValidString(reason) {
			t.Errorf("reason %q", reason)
		}
	}
}

func TestPanicEndsOnlyItsConnection(t *testing.T) {
	e := newEdge(t, edgeConfig{handle: func(c *ws.Conn) error {
		msg, _, err := c.ReadMessage()
		if string(msg) == "boom" {
			panic("boom")
		}
		return errors.Join(err, c.Send(ws.AppendText(nil, msg)))
	}})
	other, p := e.dial(t), e.dial(t)
	p.write(text("boom"))
	p.expectClose(ws.InternalError)
	other.write(text("still here"))
	other.expect(0x81, "still here")
	other.expectClose(ws.Normal) // as the handler has returned
}

func TestSetCloseEndsEverybody(t *testing.T) {
	e := newEdge(t, edgeConfig{Config: ws.Config{CloseWithin: 10 * time.Millisecond}})
	good, deaf := e.dial(t), e.dial(t)
	receive(t, e.conns)
	receive(t, e.conns)
	done := make(chan error)
	go func() { done <- e.set.Close(t.Context(), ws.Restarting, "restarting") }()
	good.expectClose(ws.Restarting)
	good.Close()
	if err := receive(t, done); err != nil { // though deaf keeps its side open
		t.Error(err)
	}
	deaf.expectClose(ws.Restarting)
	if n := e.set.Len(); n != 0 {
		t.Errorf("%d connections left", n)
	}
}

func TestSetCloseGivesUpWithItsContext(t *testing.T) {
	e := newEdge(t, edgeConfig{Config: ws.Config{CloseWithin: time.Hour}})
	e.dial(t)
	receive(t, e.conns)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.set.Close(ctx, ws.Restarting, "restarting"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Whatever ends a connection, and in whatever order, it ends once and leaves nothing behind.
func TestCloseRaces(t *testing.T) {
	for range 10 {
		e := newEdge(t, edgeConfig{Config: ws.Config{CloseWithin: 100 * time.Millisecond}, handle: echo})
		var all sync.WaitGroup
		for i := range 50 {
			client, _, err := websocket.Dial(t.Context(), e.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			c := receive(t, e.conns)
			race := []func(){
				func() { _ = client.Write(t.Context(), websocket.MessageText, []byte("hello")) },
				func() { _ = client.Ping(t.Context()) },
				func() { _ = c.Send(numbered(0, 0, 100)) },
				func() { _ = c.Queue(numbered(0, 0, 100)) },
				func() { _ = c.AwaitBacklog(t.Context(), 0) },
				func() { c.Close(ws.GoingAway, "server") },
				func() { _ = client.Close(websocket.StatusNormalClosure, "client") },
				func() { e.set.Tick(time.Now()) },
			}
			if i%3 == 0 {
				race = append(race, c.CloseNow)
			}
			if i%5 == 0 {
				race = append(race, func() { _ = client.CloseNow() })
			}
			for _, f := range race {
				all.Go(f)
			}
			all.Go(func() { // reads, or the library would not answer
				for {
					if _, _, err := client.Read(t.Context()); err != nil {
						return
					}
				}
			})
		}
		all.Wait()
		for range 50 {
			receive(t, e.ended)
		}
		await(t, "all connections gone", func() bool { return e.set.Len() == 0 })
	}
}
