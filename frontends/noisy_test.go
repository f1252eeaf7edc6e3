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

// BenchmarkNoisyTenant measures how long a message of a quiet tenant takes to the other end of its channel: alone, while another
// tenant sends a hundred times of what it may, and while the same noise goes to sockets of the broker's process where it is
// only read, which is what the machine takes for it. The broker has a process of its own, and so has the noise. Told is, too, how
// much of a core the broker spends on the noise.
func BenchmarkNoisyTenant(b *testing.B) {
	const allowed, times, sockets, phases, messages = 100, 100, 20, 3, 1000
	s := startServer(b)
	quiet := dialBench(b, s.addr, "/v1/ws?channel_id=q&token="+s.ask(b, "token ann"))
	path := "/v1/ws?channel_id=n&token=" + s.ask(b, "token evil/eve")
	sink := s.ask(b, "sink")
	var alone, beside, besideSink neighbour
	sent := 0.0
	for range b.N {
		for range phases {
			s.ask(b, "limit evil tenant_messages_per_second=0") // which counts handshakes, too
			noisy, sunk := startNoise(b, s.addr, path, sockets, allowed*times), startNoise(b, sink, "", sockets, allowed*times)
			s.ask(b, fmt.Sprint("limit evil tenant_messages_per_second=", allowed))
			roundTrips(b, quiet, 200) // until the last phase and the handshakes are over
			alone.live(b, s, quiet, messages)
			sunk.begin()
			besideSink.live(b, s, quiet, messages)
			sunk.end(b)
			noisy.begin()
			beside.live(b, s, quiet, messages)
			sent += noisy.end(b)
		}
	}
	b.ReportMetric(float64(p99(alone.took).Microseconds()), "alone-p99-us")
	b.ReportMetric(float64(p99(beside.took).Microseconds()), "beside-p99-us")
	b.ReportMetric(float64(p99(besideSink.took).Microseconds()), "sink-p99-us")
	b.ReportMetric(float64(p99(beside.took))/float64(p99(alone.took)), "p99-ratio")
	b.ReportMetric(float64(p99(besideSink.took))/float64(p99(alone.took)), "sink-ratio")
	b.ReportMetric(sent/float64(b.N*phases), "noise/s")
	b.ReportMetric(100*(beside.core()-alone.core()), "noise-core-%")
	b.ReportMetric(100*(besideSink.core()-alone.core()), "sink-core-%")
	b.ReportMetric(0, "ns/op")
}

// neighbour is how a quiet tenant has fared.
type neighbour struct {
	took     []time.Duration // by its messages
	cpu, all time.Duration   // what the broker spent, and how long it took
}

// live sends messages.
func (n *neighbour) live(b *testing.B, s *served, quiet *websocket.Conn, messages int) {
	b.Helper()
	began, spent := time.Now(), s.cpu(b)
	n.took = append(n.took, roundTrips(b, quiet, messages)...)
	n.cpu += s.cpu(b) - spent
	n.all += time.Since(began)
}

// core is how much of a core the broker had to do.
func (n *neighbour) core() float64 { return n.cpu.Seconds() / n.all.Seconds() }

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

func (w *world) bench(b *testing.B, path string) *websocket.Conn { return dialBench(b, w.url, path) }

func dialBench(b *testing.B, addr, path string) *websocket.Conn {
	b.Helper()
	conn, _, err := websocket.Dial(b.Context(), "ws://"+addr+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	conn.SetReadLimit(-1)
	b.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// roundTrips sends messages one after the other, each when the one before has come back with its ACK, two hundred a second.
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

func p99(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)*99/100]
}
