package tenants

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"parley/broker"
	"parley/broker/brokertest"
	"parley/internal/usage"
)

// benchNode is one of the nodes of a cluster in this process.
type benchNode struct {
	engine   *broker.Engine
	registry *Registry
}

// startBenchNodes runs n nodes with a tenant acme until the benchmark ends. One node is no cluster.
func startBenchNodes(b *testing.B, n int) (all []benchNode) {
	b.Helper()
	for _, n := range brokertest.StartCluster(b, n) {
		r, err := Open(b.Context(), n.Engine, Config{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		n.Run(r.Run)
		all = append(all, benchNode{n.Engine, r})
	}
	if _, _, err := all[0].registry.Create(b.Context(), Spec{ID: "acme"}); err != nil {
		b.Fatal(err)
	}
	return all
}

// BenchmarkChangeReachesNodes has three nodes know so many tenants, changes one of them on a node and waits until the
// registries of the other two show it. The time of an operation is that of the change, as its caller sees it.
func BenchmarkChangeReachesNodes(b *testing.B) {
	for _, n := range []int{1, 1000, 5000} {
		b.Run(fmt.Sprint("tenants=", n), func(b *testing.B) {
			nodes := startBenchNodes(b, 3)
			fillRegistry(b, nodes, n)
			acme := nodes[0].registry
			b.Run("kick", func(b *testing.B) { // the record alone
				measureChange(b, nodes, func(int) error {
					_, err := acme.Kick(b.Context(), "acme", "alice", false)
					return err
				})
			})
			b.Run("limit", func(b *testing.B) { // the record, the account on all servers, and the record again
				measureChange(b, nodes, func(i int) error {
					_, err := acme.Update(b.Context(), "acme", Change{Limits: LimitChanges{StorageBytes: new(int64(i + 1_000_000))}})
					return err
				})
			})
		})
	}
}

func measureChange(b *testing.B, nodes []benchNode, change func(i int) error) {
	var after, whole []time.Duration
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		if err := change(i); err != nil {
			b.Fatal(err)
		}
		answered := time.Now()
		b.StopTimer()
		want, err := nodes[0].registry.Get("acme")
		if err != nil {
			b.Fatal(err)
		}
		for _, node := range nodes[1:] {
			if err := node.registry.awaitRevision(b.Context(), want); err != nil {
				b.Fatal(err)
			}
		}
		after, whole = append(after, time.Since(answered)), append(whole, time.Since(began))
		b.StartTimer()
	}
	for what, all := range map[string][]time.Duration{"after-answer": after, "whole": whole} {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms-"+what+"-p50")
		b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, "ms-"+what+"-max")
	}
}

// fillRegistry writes the records of so many tenants, which nobody uses: they have no accounts yet. It returns when every
// node has read them.
func fillRegistry(b *testing.B, nodes []benchNode, n int) {
	b.Helper()
	const hands = 32
	var filling sync.WaitGroup
	var last atomic.Uint64
	if acme, err := nodes[0].registry.Get("acme"); err == nil {
		last.Store(acme.Revision)
	}
	for hand := range hands {
		filling.Go(func() {
			for i := hand; i < n-1; i += hands {
				key, err := NewKey(KeySpec{}, time.Now())
				if err != nil {
					b.Error(err)
					return
				}
				t := Tenant{ID: ID(fmt.Sprintf("t%05d", i)), Account: broker.NewAccountID(), State: Active, Created: time.Now().UTC(), Keys: []Key{key}}
				data, err := encodeRecord(t)
				if err != nil {
					b.Error(err)
					return
				}
				revision, err := nodes[0].registry.bucket.Put(b.Context(), string(t.ID), data)
				if err != nil {
					b.Error(err)
					return
				}
				for was := last.Load(); was < revision && !last.CompareAndSwap(was, revision); was = last.Load() {
				}
			}
		})
	}
	filling.Wait()
	for _, node := range nodes {
		for {
			node.registry.mu.RLock()
			seen := node.registry.seen
			node.registry.mu.RUnlock()
			if seen >= last.Load() {
				break
			}
			<-time.After(10 * time.Millisecond)
		}
		if got := len(node.registry.List()); got != n {
			b.Fatalf("a node knows %d tenants, want %d", got, n)
		}
	}
}

// BenchmarkRevokeCreds revokes a .creds file that 1,000 connections are open with, a third of them to each node where there
// are three. All of them listen to a channel in which others talk all the time. Late are messages that a revoked service
// got although they were published, on whatever node, after the revocation had returned.
func BenchmarkRevokeCreds(b *testing.B) {
	const connections = 1000
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprint("nodes=", n), func(b *testing.B) {
			nodes := startBenchNodes(b, n)
			_, other, err := nodes[0].registry.IssueCreds(b.Context(), "acme", "", broker.CredsRequest{Name: "talker", Publish: []string{"channel.>"}, Subscribe: []string{"channel.>"}})
			if err != nil {
				b.Fatal(err)
			}
			var answered, cut, spent time.Duration
			var late, heard atomic.Int64
			for b.Loop() {
				b.StopTimer()
				leaked, text, err := nodes[0].registry.IssueCreds(b.Context(), "acme", "", broker.CredsRequest{Name: "leaked", Subscribe: []string{"channel.>"}})
				if err != nil {
					b.Fatal(err)
				}
				var open sync.WaitGroup
				for i := range connections {
					open.Add(1)
					listen(b, nodes[i%n].engine, text, func(said string) {
						heard.Add(1)
						if said == "after" {
							late.Add(1)
						}
					}, open.Done)
				}
				var saying atomic.Value
				saying.Store("before")
				quiet := talk(b, nodes, other, &saying)
				for heard.Load() < connections { // everybody hears
					<-time.After(time.Millisecond)
				}
				began, before := time.Now(), cpu()
				b.StartTimer()
				if _, err := nodes[0].registry.RevokeCreds(b.Context(), "acme", CredsSelector{UserKey: leaked.UserKey}); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				saying.Store("after")
				answered = max(answered, time.Since(began))
				open.Wait()
				cut, spent = max(cut, time.Since(began)), spent+cpu()-before
				quiet()
				b.StartTimer()
			}
			b.ReportMetric(float64(answered.Milliseconds()), "ms-to-answer")
			b.ReportMetric(float64(cut.Milliseconds()), "ms-to-last-cut")
			b.ReportMetric(float64(late.Load()), "late-messages")
			b.ReportMetric(float64(spent.Microseconds())/float64(b.N*connections), "cpu-µs/connection")
			b.ReportMetric(float64(heard.Load())/float64(b.N), "messages-heard/op")
		})
	}
}

// listen connects a service to one node and no other.
func listen(b *testing.B, e *broker.Engine, creds []byte, heard func(string), ended func()) {
	b.Helper()
	nc, err := connect(e, creds, nats.NoReconnect(), nats.IgnoreDiscoveredServers(), nats.ClosedHandler(func(*nats.Conn) { ended() }))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := nc.Subscribe("channel.>", func(m *nats.Msg) { heard(string(m.Data)) }); err != nil {
		b.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		b.Fatal(err)
	}
}

// talk has a service on each node say something every 5 ms until it is told to be quiet.
func talk(b *testing.B, nodes []benchNode, creds []byte, what *atomic.Value) (quiet func()) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	var talking sync.WaitGroup
	for _, node := range nodes {
		nc, err := connect(node.engine, creds, nats.NoReconnect(), nats.IgnoreDiscoveredServers())
		if err != nil {
			b.Fatal(err)
		}
		talking.Go(func() {
			defer nc.Close()
			for ctx.Err() == nil {
				_ = nc.Publish("channel.news", []byte(what.Load().(string)))
				_ = nc.Flush()
				<-time.After(5 * time.Millisecond)
			}
		})
	}
	return func() { stop(); talking.Wait() }
}

// cpu is what this process has spent, clients included.
func cpu() time.Duration {
	own, _ := usage.Own()
	return own.User + own.System
}
