package ws_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/frontends/ws"
)

func contextOf(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), patience)
}

// numbered is a frame that says who sent it, which one it is, and whether it is intact.
func numbered(sender, seq, size int) []byte {
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = 'a' + byte((sender+seq+i)%26)
	}
	return ws.AppendText(nil, fmt.Appendf(nil, "%d %d %d %s", sender, seq, size, payload))
}

// checker verifies that every sender's frames come once, whole and in order, and that control frames are what they
// should be.
type checker struct {
	next  map[int]int // of each sender
	pings int
	pongs int // the last one
}

func (k *checker) see(t testing.TB, first byte, payload string) {
	t.Helper()
	switch first {
	case 0x81:
		k.seeText(t, payload)
	case 0x8a:
		n, err := strconv.Atoi(payload)
		if err != nil || n <= k.pongs {
			t.Fatalf("pong %q behind %d", payload, k.pongs)
		}
		k.pongs = n
	case 0x89:
		k.pings++
	default:
		t.Fatalf("frame %#x %.100q", first, payload)
	}
}

func (k *checker) seeText(t testing.TB, payload string) {
	t.Helper()
	var sender, seq, size int
	if _, err := fmt.Sscan(payload, &sender, &seq, &size); err != nil {
		t.Fatalf("%.50q: %v", payload, err)
	}
	if seq != k.next[sender] {
		t.Fatalf("sender %d: got %d, want %d", sender, seq, k.next[sender])
	}
	k.next[sender]++
	want := numbered(sender, seq, size)
	if !strings.HasSuffix(string(want), payload) || len(want) != ws.FrameLen(len(payload)) {
		t.Fatalf("sender %d, message %d is damaged", sender, seq)
	}
}

// 20,000 frames from four senders to a peer that stops and goes, while both sides ping: every byte is where it belongs.
func TestStreamIsExactUnderPressure(t *testing.T) {
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls %t", tls), func(t *testing.T) { testStream(t, tls) })
	}
}

func testStream(t *testing.T, overTLS bool) {
	const senders, each = 4, 5000
	cfg := edgeConfig{
		Config: ws.Config{
			Now: frozen(), PingEvery: time.Second, PingsPerSecond: 1 << 30,
			StallAfter: time.Hour, IdleAfter: 100 * time.Hour,
		},
		Options:    ws.Options{QueueBytes: 8 << 20},
		sendBuffer: 64 << 10,
		tls:        overTLS,
	}
	e := newEdge(t, cfg)
	p := e.dialAny(t, overTLS)
	c := receive(t, e.conns)

	var sending, pinging sync.WaitGroup
	var sent atomic.Int32
	for s := range senders {
		sending.Go(func() {
			sendNumbered(t, c, s, each)
			sent.Add(1)
		})
	}
	ours, theirs := make(chan int, 1), make(chan int, 1) // pings, asked for by the reader below
	pinging.Go(func() {
		for i := range ours {
			e.set.Tick(noon().Add(time.Duration(i) * time.Second))
		}
	})
	pinging.Go(func() {
		for i := range theirs {
			p.write(masked(0x89, strconv.Itoa(i)))
		}
		p.write(closing(ws.Normal, "peer is done"))
	})

	pings := 0
	seen := checker{next: map[int]int{}, pongs: -1}
	for total := 1; total <= senders*each; {
		first, payload := p.next()
		seen.see(t, first, payload)
		if first != 0x81 {
			continue
		}
		if total++; total%2000 == 1000 {
			await(t, "a backlog, or nothing left to send", func() bool { return c.Backlog() > 0 || sent.Load() == senders })
		}
		pings++
		for _, ask := range []chan int{ours, theirs} {
			select {
			case ask <- pings:
			default: // still busy with the one before
			}
		}
	}
	close(ours)
	close(theirs)
	go c.Close(ws.Normal, "server is done")
	p.expectClose(ws.Normal)
	sending.Wait()
	pinging.Wait()
	if seen.pings == 0 || seen.pongs < 0 {
		t.Errorf("%d pings among the messages, last pong %d", seen.pings, seen.pongs)
	}
	if err := c.Send(numbered(0, 0, 1)); !errors.Is(err, ws.ErrClosed) {
		t.Errorf("send after the end: %v", err)
	}
}

// sendNumbered sends in all the ways there are.
func sendNumbered(t *testing.T, c *ws.Conn, sender, n int) {
	random := rand.New(rand.NewPCG(uint64(sender), 1))
	for seq := 0; seq < n; {
		var err error
		switch frame := func() []byte { seq++; return numbered(sender, seq-1, 1+random.IntN(3000)) }; random.IntN(3) {
		case 0:
			err = c.Send(frame())
		case 1:
			err = c.Queue(frame())
		case 2:
			b := frame()
			if seq < n {
				b = append(b, frame()...)
			}
			err = c.Send(b)
		}
		if err == nil {
			err = c.AwaitBacklog(t.Context(), 1<<20)
		}
		if err != nil {
			t.Errorf("sender %d, message %d: %v", sender, seq, err)
			return
		}
	}
	c.Flush()
}

func TestSlowPeerIsCutOffAtTheBound(t *testing.T) {
	const bound = 64 << 10
	e := newEdge(t, edgeConfig{Options: ws.Options{QueueBytes: bound}, sendBuffer: 4 << 10})
	p := e.dialSmall(t, 4<<10)
	c := receive(t, e.conns)
	sent, slow := 0, 0
	for c.Closed() == nil {
		var piece []byte // of several frames, in one of which the connection will be cut off
		for _, size := range []int{1000, 10, 3000} {
			piece = append(piece, numbered(0, sent, size)...)
			sent++
		}
		if errors.Is(c.Send(piece), ws.ErrSlow) {
			slow++
		}
		if b := c.Backlog(); b > bound+len(piece) {
			t.Fatalf("%d bytes are queued", b)
		}
	}
	if err := c.Send(numbered(0, sent, 1)); !errors.Is(err, ws.ErrClosed) || slow != 1 {
		t.Errorf("ErrSlow %d times, then %v", slow, err)
	}
	why, ok := errors.AsType[*ws.CloseError](receive(t, e.ended)) // at once: the peer has not read yet
	if !ok || why.Code != ws.TryLater || !errors.Is(why, ws.ErrSlow) {
		t.Errorf("handler got %v", why)
	}
	seen := checker{next: map[int]int{}}
	first, payload := p.next()
	for ; first != 0x88; first, payload = p.next() {
		seen.see(t, first, payload)
	}
	if code := ws.Code(binary.BigEndian.Uint16([]byte(payload))); code != ws.TryLater || payload[2:] != "slow consumer; resume with since" {
		t.Errorf("closed with %d %q", code, payload[2:])
	}
	if got := seen.next[0]; got == 0 || got >= sent {
		t.Errorf("%d of %d messages came before the end", got, sent)
	}
	if rest, err := io.ReadAll(p.r); err != nil || len(rest) != 0 {
		t.Errorf("behind the close frame: %d bytes, %v", len(rest), err)
	}
	if c.Flushed() >= c.Queued() {
		t.Errorf("flushed %d of %d, though messages were dropped", c.Flushed(), c.Queued())
	}
}

func TestSlowPeerThatNeverReadsIsGivenUp(t *testing.T) {
	for _, overTLS := range []bool{false, true} {
		e := newEdge(t, edgeConfig{
			Config:     ws.Config{CloseWithin: time.Millisecond},
			Options:    ws.Options{QueueBytes: 64 << 10, SlowCode: 4030, SlowReason: "slow"},
			sendBuffer: 4 << 10,
			tls:        overTLS,
		})
		e.dialAny(t, overTLS)
		c := receive(t, e.conns)
		for c.Send(numbered(0, 0, 1000)) == nil {
		}
		if why := c.Closed(); why.Code != 4030 || why.Reason != "slow" || !errors.Is(why, ws.ErrSlow) {
			t.Errorf("closed with %v", why)
		}
		await(t, "the connection gone", func() bool { return e.set.Len() == 0 })
	}
}

func TestCountersMeetWhenAllIsTaken(t *testing.T) {
	e := newEdge(t, edgeConfig{})
	p := e.dial(t)
	c := receive(t, e.conns)
	frame := numbered(0, 0, 100)
	if err := c.Queue(frame); err != nil {
		t.Fatal(err)
	}
	if q, f, b := c.Queued(), c.Flushed(), c.Backlog(); q != uint64(len(frame)) || f != 0 || b != len(frame) {
		t.Errorf("queued %d, flushed %d, backlog %d before the flush", q, f, b)
	}
	c.Flush()
	if q, f, b := c.Queued(), c.Flushed(), c.Backlog(); q != f || b != 0 {
		t.Errorf("queued %d, flushed %d, backlog %d after it", q, f, b)
	}
	p.expect(0x81, string(frame[2:]))
}

func TestAwaitBacklogEnds(t *testing.T) {
	e := newEdge(t, edgeConfig{sendBuffer: 4 << 10})
	p := e.dialSmall(t, 4<<10)
	c := receive(t, e.conns)
	if err := c.Send(ws.AppendText(nil, make([]byte, 2<<20))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.AwaitBacklog(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
	waiting := make(chan error)
	go func() { waiting <- c.AwaitBacklog(t.Context(), 0) }()
	if first, payload := p.next(); first != 0x81 || len(payload) != 2<<20 {
		t.Errorf("frame %#x of %d bytes", first, len(payload))
	}
	if err := receive(t, waiting); err != nil {
		t.Errorf("after the peer has read all: %v", err)
	}
	if err := c.Send(ws.AppendText(nil, make([]byte, 2<<20))); err != nil {
		t.Fatal(err)
	}
	go func() { waiting <- c.AwaitBacklog(t.Context(), 0) }()
	c.CloseNow()
	if err := receive(t, waiting); !errors.Is(err, ws.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func TestInlineSendDoesNotAllocate(t *testing.T) {
	e := newEdge(t, edgeConfig{})
	p := e.dial(t)
	c := receive(t, e.conns)
	frame := numbered(0, 0, 100)
	const runs = 1000 // fits the socket's buffer, so that no writer is needed
	allocs := testing.AllocsPerRun(runs, func() {
		if err := c.Send(frame); err != nil {
			t.Error(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations a Send", allocs)
	}
	if _, err := io.CopyN(io.Discard, p.r, int64((runs+1)*len(frame))); err != nil {
		t.Error(err)
	}
}
