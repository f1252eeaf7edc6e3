package frontends

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/nats-io/nats.go"

	"parley/broker"
	"parley/tenants"
)

// BenchmarkNoisyTenant measures how long a message of a quiet tenant takes to the other end of its channel, alone and while
// another tenant sends a hundred times of what it may. Everything runs in one process, the clients too.
func BenchmarkNoisyTenant(b *testing.B) {
	const allowed, times, sockets, phases, messages = 100, 100, 20, 5, 300
	w := newWorld(b)
	w.limit(b, "evil", fmt.Sprint("tenant_messages_per_second=", allowed))
	quiet := w.bench(b, "/v1/ws?channel_id=q&token="+w.token(b, tenants.TokenSpec{Tenant: "acme", Agent: "ann"}))
	var noisy []*websocket.Conn
	for range sockets {
		noisy = append(noisy, w.bench(b, "/v1/ws?channel_id=n&token="+w.token(b, tenants.TokenSpec{Tenant: "evil", Agent: "eve"})))
	}
	var alone, beside []time.Duration
	for range b.N {
		for range phases {
			alone = append(alone, roundTrips(b, quiet, messages)...)
			stop := makeNoise(b, noisy, allowed*times/sockets)
			beside = append(beside, roundTrips(b, quiet, messages)...)
			stop()
		}
	}
	b.ReportMetric(float64(p99(alone).Microseconds()), "alone-p99-us")
	b.ReportMetric(float64(p99(beside).Microseconds()), "beside-p99-us")
	b.ReportMetric(float64(p99(beside))/float64(p99(alone)), "p99-ratio")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkNoisyService is the same while services of another tenant publish with NATS as fast as they can, without a limit and
// with one.
func BenchmarkNoisyService(b *testing.B) {
	const allowed, services, phases, messages = 100, 4, 3, 100
	w := newWorld(b)
	w.guard(b)
	quiet := w.bench(b, "/v1/ws?channel_id=q&token="+w.token(b, tenants.TokenSpec{Tenant: "acme", Agent: "ann"}))
	var noisy []*nats.Conn
	for i := range services {
		may := broker.CredsRequest{Name: fmt.Sprint("noisy", i), Publish: []string{"channel.>"}}
		noisy = append(noisy, w.service(b, "evil", may, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.ReconnectBufSize(-1),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})))
	}
	var alone, limited, unlimited []time.Duration
	for range b.N {
		for range phases {
			alone = append(alone, roundTrips(b, quiet, messages)...)
			before, _ := w.refusals("evil", tenants.TenantMessagesPerSecond)
			w.limit(b, "evil", fmt.Sprint("tenant_messages_per_second=", allowed))
			stop := flood(b, noisy)
			for n := before; n < before+services; n, _ = w.refusals("evil", tenants.TenantMessagesPerSecond) {
				<-time.After(time.Millisecond) // until all were noticed
			}
			limited = append(limited, roundTrips(b, quiet, messages)...)
			w.limit(b, "evil", "tenant_messages_per_second=default")
			unlimited = append(unlimited, roundTrips(b, quiet, messages)...)
			stop()
		}
	}
	b.ReportMetric(float64(p99(alone).Microseconds()), "alone-p99-us")
	b.ReportMetric(float64(p99(unlimited))/float64(p99(alone)), "unlimited-ratio")
	b.ReportMetric(float64(p99(limited))/float64(p99(alone)), "limited-ratio")
	b.ReportMetric(0, "ns/op")
}

// flood has services publish until stop, also after they were cut off and have come back.
func flood(b *testing.B, all []*nats.Conn) (stop func()) {
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	for _, nc := range all {
		running.Go(func() {
			for text := make([]byte, 100); ctx.Err() == nil; {
				if nc.Publish("channel.noise", text) != nil {
					<-time.After(time.Millisecond)
				}
			}
		})
	}
	return func() { cancel(); running.Wait() }
}

func (w *world) bench(b *testing.B, path string) *websocket.Conn {
	b.Helper()
	conn, _, err := websocket.Dial(b.Context(), "ws://"+w.url+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	conn.SetReadLimit(-1)
	b.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// roundTrips sends messages one after the other, each when the one before has come back with its ACK, a hundred a second.
func roundTrips(b *testing.B, c *websocket.Conn, n int) (all []time.Duration) {
	b.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range n {
		<-tick.C
		began := time.Now()
		if err := c.Write(b.Context(), websocket.MessageText, []byte(`{"type":"message","content":"x"}`)); err != nil {
			b.Fatal(err)
		}
		for range 2 { // the message and its ACK
			if _, _, err := c.Read(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		all = append(all, time.Since(began))
	}
	return all
}

// makeNoise has every socket send so many messages a second until stop, and read what comes.
func makeNoise(b *testing.B, all []*websocket.Conn, perSecond int) (stop func()) {
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	for _, c := range all {
		running.Go(func() {
			const every = 10 * time.Millisecond
			tick := time.NewTicker(every)
			defer tick.Stop()
			for ctx.Err() == nil {
				<-tick.C
				for range perSecond * int(every) / int(time.Second) {
					if c.Write(b.Context(), websocket.MessageText, []byte(`{"type":"message","content":"noise"}`)) != nil {
						return
					}
				}
			}
			_ = c.Write(b.Context(), websocket.MessageText, []byte(`{"id":"last","type":"ping"}`))
		})
		running.Go(func() {
			for ctx.Err() == nil {
				if _, _, err := c.Read(b.Context()); err != nil {
					return
				}
			}
		})
	}
	return func() { cancel(); running.Wait() }
}

func p99(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)*99/100]
}
