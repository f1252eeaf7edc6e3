package frontends

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/broker/brokertest"
	"parley/tenants"
)

// newWorlds are three nodes of one cluster, in one process.
func newWorlds(b *testing.B) (all []*world) {
	b.Helper()
	for _, n := range brokertest.StartCluster(b, 3) {
		all = append(all, newWorldIn(b, n, Config{}))
	}
	return all
}

// BenchmarkShutOutNodes shuts a user out on one of three nodes who has 100 connections to each of the other two. Told are the
// median and the worst of the times from the beginning of the act to the end of the last connection, and how many messages
// came that were published after both had heard of it.
func BenchmarkShutOutNodes(b *testing.B) {
	const sockets = 100
	nodes := newWorlds(b)
	acts := nodes[0].registry
	for _, way := range []struct {
		name string
		act  func(g *tenants.Grant) error
		undo func() error
	}{
		{"jti", func(g *tenants.Grant) error {
			_, err := acts.RevokeTokens(b.Context(), "acme", tenants.RevocationSpec{JTI: g.JTI})
			return err
		}, nil},
		{"user", func(*tenants.Grant) error {
			_, err := acts.RevokeTokens(b.Context(), "acme", tenants.RevocationSpec{Subject: "ann"})
			return err
		}, nil},
		{"all", func(*tenants.Grant) error {
			_, err := acts.RevokeTokens(b.Context(), "acme", tenants.RevocationSpec{All: true})
			return err
		}, nil},
		{"kick", func(*tenants.Grant) error { _, err := acts.Kick(b.Context(), "acme", "ann", false); return err }, nil},
		{
			"suspend",
			func(*tenants.Grant) error { _, err := acts.Suspend(b.Context(), "acme"); return err },
			func() error { _, err := acts.Resume(b.Context(), "acme"); return err },
		},
	} {
		b.Run(way.name, func(b *testing.B) {
			var took []time.Duration
			late := 0
			for b.Loop() {
				b.StopTimer()
				<-time.After(time.Second) // tokens of the second of a revocation say the next one, which must not add up
				token := nodes[0].token(b, tenants.TokenSpec{Tenant: "acme", User: "ann"})
				g, err := acts.Verify(b.Context(), token)
				if err != nil {
					b.Fatal(err)
				}
				for _, w := range nodes[1:] {
					w.hears(b)
				}
				var mu sync.Mutex
				var reading, open sync.WaitGroup
				var last time.Time
				for i := range 2 * sockets {
					w := nodes[1+i%2]
					open.Add(1)
					reading.Go(func() {
						n := heardBy(b, w, token, open.Done)
						mu.Lock()
						defer mu.Unlock()
						late += n
						last = time.Now()
					})
				}
				open.Wait()
				began := time.Now()
				b.StartTimer()
				if err := way.act(g); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if way.undo == nil { // nobody speaks in a suspended tenant
					for _, w := range nodes[1:] {
						w.hears(b)
					}
					for _, w := range nodes[1:] {
						w.say(b, "news")
					}
				}
				reading.Wait()
				took = append(took, last.Sub(began))
				if way.undo != nil {
					if err := way.undo(); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "ms-to-last-close-p50")
			b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "ms-to-last-close-max")
			b.ReportMetric(float64(late), "late-messages")
		})
	}
}

// hears returns when the node has heard of all that was changed of acme before: it changes the tenant itself.
func (w *world) hears(b *testing.B) {
	b.Helper()
	if _, err := w.registry.Update(b.Context(), "acme", tenants.Change{Name: new(time.Now().String())}); err != nil {
		b.Fatal(err)
	}
}

// heardBy connects to a node, says when it is served, and returns how many messages came until the connection ended.
func heardBy(b *testing.B, w *world, token string, served func()) int {
	c, _, err := websocket.Dial(b.Context(), "ws://"+w.url+"/v1/ws?channel_id=news&token="+token, nil)
	if err == nil {
		err = c.Write(b.Context(), websocket.MessageText, []byte(`{"id":"served","type":"ping"}`))
	}
	if err == nil {
		_, _, err = c.Read(b.Context())
	}
	served()
	if err != nil {
		b.Error(err)
		return 0
	}
	return drained(b.Context(), c)
}
