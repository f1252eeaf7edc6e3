package frontends

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/internal/usage"
	"parley/tenants"
)

// BenchmarkRevoke revokes a token that 1,000 connections are open with. The time is that of the revocation, the metrics are
// when the last client has seen its connection end, how many messages came that were published after the revocation had
// returned, and what both sides have spent until all were closed.
func BenchmarkRevoke(b *testing.B) {
	const sockets = 1000
	w := newWorld(b)
	ctx := b.Context()
	var last time.Duration
	var spent time.Duration
	late := 0
	for b.Loop() {
		b.StopTimer()
		token := w.token(b, tenants.TokenSpec{Tenant: "acme", User: "ann"})
		conns := make([]*websocket.Conn, sockets)
		for i := range conns {
			var err error
			if conns[i], _, err = websocket.Dial(ctx, "ws://"+w.url+"/v1/ws?channel_id=news&token="+token, nil); err != nil {
				b.Fatal(err)
			}
		}
		began, before := time.Now(), cpu()
		b.StartTimer()
		if _, err := w.registry.RevokeTokens(ctx, "acme", tenants.RevocationSpec{Subject: "ann"}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		w.say(b, "news")
		var mu sync.Mutex
		var reading sync.WaitGroup
		for _, c := range conns {
			reading.Go(func() {
				n := drained(ctx, c)
				mu.Lock()
				defer mu.Unlock()
				late += n
				last = max(last, time.Since(began))
			})
		}
		reading.Wait()
		spent += cpu() - before
		b.StartTimer()
	}
	b.ReportMetric(float64(last.Milliseconds()), "ms-to-last-close")
	b.ReportMetric(float64(late), "late-messages")
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N*sockets), "cpu-µs/connection")
}

// cpu is what this process has spent, clients included.
func cpu() time.Duration {
	own, _ := usage.Own()
	return own.User + own.System
}

// drained reads a connection to its end and returns how many messages came.
func drained(ctx context.Context, c *websocket.Conn) (n int) {
	defer c.CloseNow()
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return n
		}
		n++
	}
}

// say publishes one message on a channel of acme.
func (w *world) say(b *testing.B, channel string) {
	b.Helper()
	c, _, err := websocket.Dial(b.Context(), "ws://"+w.url+"/v1/ws?token="+w.token(b, tenants.TokenSpec{Tenant: "acme", Agent: "bob"}), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(b.Context(), websocket.MessageText, []byte(`{"type":"message","content":1,"channel_id":"`+channel+`"}`)); err != nil {
		b.Fatal(err)
	}
	if _, _, err := c.Read(b.Context()); err != nil {
		b.Fatal(err)
	}
}
