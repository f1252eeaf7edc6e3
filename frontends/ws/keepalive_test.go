package ws_test

import (
	"errors"
	"testing"
	"time"

	"parley/frontends/ws"
)

// noon is when the tests' clocks start.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// frozen is a clock that stands still.
func frozen() func() time.Time { return noon }

func TestPingsAreSpreadOverTheInterval(t *testing.T) {
	e := newEdge(t, edgeConfig{Config: ws.Config{Now: frozen()}})
	const n = 90
	var conns []*ws.Conn
	for range n {
		e.dial(t)
		conns = append(conns, receive(t, e.conns))
	}
	pings := func() (sum uint64) {
		for _, c := range conns {
			sum += c.Queued() / 2 // nothing but pings of two bytes is sent
		}
		return sum
	}
	for second := 1; second <= 60; second++ {
		before := pings()
		e.set.Tick(noon().Add(time.Duration(second) * time.Second))
		if got := pings() - before; got < 1 || got > 6 { // evenly spread it is 3
			t.Errorf("second %d: %d pings", second, got)
		}
	}
	if got := pings(); got != 2*n {
		t.Errorf("%d pings to %d connections in two intervals", got, n)
	}
}

func TestIdleConnectionIsClosedUnlessItPongs(t *testing.T) {
	e := newEdge(t, edgeConfig{Config: ws.Config{Now: frozen()}})
	silent, alive := e.dial(t), e.dial(t)
	receive(t, e.conns)
	receive(t, e.conns)
	e.set.Tick(noon().Add(4 * time.Minute))
	alive.expect(0x89, "")
	alive.write(masked(0x8a, ""))
	alive.write(masked(0x89, "was the pong seen?"))
	alive.expect(0x8a, "was the pong seen?")
	e.set.Tick(noon().Add(5 * time.Minute))
	if n := e.set.Len(); n != 2 {
		t.Fatalf("%d connections after exactly five minutes, want 2", n)
	}
	e.set.Tick(noon().Add(5*time.Minute + time.Second))
	silent.expectClose(ws.GoingAway)
	alive.write(closing(ws.Normal, ""))
	alive.expectClose(ws.Normal)
}

func TestMessageThatTrickles(t *testing.T) {
	e := newEdge(t, edgeConfig{Config: ws.Config{Now: frozen()}, handle: echo})
	p := e.dial(t)
	p.write(masked(0x01, "so"))
	p.write(masked(0x89, "begun?"))
	p.expect(0x8a, "begun?")
	e.set.Tick(noon().Add(30 * time.Second))
	p.write(masked(0x80, " long"))
	for first, payload := p.next(); first != 0x81; first, payload = p.next() {
		if first != 0x89 {
			t.Fatalf("frame %#x %q", first, payload)
		}
	}
	p.write(masked(0x01, "too"))
	p.write(masked(0x89, "begun?"))
	p.expect(0x8a, "begun?")
	e.set.Tick(noon().Add(61 * time.Second))
	p.expectClose(ws.PolicyViolation)
}

func TestExpiryCallsTheHookOnce(t *testing.T) {
	e := newEdge(t, edgeConfig{Config: ws.Config{Now: frozen()}})
	p := e.dial(t)
	c := receive(t, e.conns)
	calls := 0
	hook := func() { calls++; c.Close(4001, "token expired") }
	c.ExpireAt(noon().Add(time.Second), hook)
	c.ExpireAt(noon().Add(time.Minute), hook)
	e.set.Tick(noon().Add(59 * time.Second))
	if calls != 0 {
		t.Fatal("called early")
	}
	e.set.Tick(noon().Add(60 * time.Second))
	e.set.Tick(noon().Add(61 * time.Second))
	if calls != 1 {
		t.Fatalf("called %d times", calls)
	}
	p.expectClose(4001)
}

func TestPeerThatTakesNothingIsCutOff(t *testing.T) {
	e := newEdge(t, edgeConfig{Config: ws.Config{Now: frozen(), IdleAfter: time.Hour * 1000}, sendBuffer: 4 << 10})
	p := e.dialSmall(t, 4<<10)
	c := receive(t, e.conns)
	if err := c.Send(ws.AppendText(nil, make([]byte, 1<<20))); err != nil { // more than the sockets hold
		t.Fatal(err)
	}
	for now := noon(); c.Closed() == nil; now = now.Add(time.Minute) { // until the kernel has taken what it will
		taken := c.Flushed()
		e.set.Tick(now)
		if c.Closed() != nil {
			break // what it had taken by the last look was the last
		}
		e.set.Tick(now.Add(10 * time.Second))
		if why := c.Closed(); why != nil {
			t.Fatalf("closed after ten seconds: %v", why)
		}
		e.set.Tick(now.Add(10*time.Second + 1))
		if c.Closed() == nil && c.Flushed() == taken {
			t.Fatal("not closed after more than ten seconds without progress")
		}
	}
	if !errors.Is(c.Closed(), ws.ErrSlow) {
		t.Fatalf("closed with %v", c.Closed())
	}
	p.expectClose(ws.TryLater) // behind the rest of the frame that had been begun
}

func TestRunPings(t *testing.T) {
	e := newEdge(t, edgeConfig{Config: ws.Config{PingEvery: time.Millisecond, SweepEvery: time.Millisecond}})
	run := make(chan error)
	ctx, cancel := contextOf(t)
	go func() { run <- e.set.Run(ctx) }()
	p := e.dial(t)
	for range 3 {
		p.expect(0x89, "")
	}
	cancel()
	if err := receive(t, run); err != nil {
		t.Error(err)
	}
}
