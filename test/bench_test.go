package test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/test/rig"
)

// The benchmarks run the binary as it ships, without the race detector, and count what its process spends: the clients,
// which share the machine with it, are not in the numbers. docs/performance.md has results.

// benchmarked starts a server for b.
func benchmarked(b *testing.B) *rig.Server {
	b.Helper()
	binary, err := rig.BuildPlain(context.Background(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	server := binary.Start(b, rig.Options{})
	server.MustCLI("tenant", "create", "acme")
	return server
}

func benchToken(b *testing.B, server *rig.Server) string {
	b.Helper()
	return server.MustCLI("token", "issue", "--tenant", "acme", "--agent", "alice")
}

// cpu is what the server's process has spent so far, in user and system time.
func cpu(b *testing.B, server *rig.Server) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", server.PID()))
	if err != nil {
		b.Fatal(err)
	}
	// Behind the name, which may hold anything, come numbers; the 12th and 13th of them are clock ticks of 10 ms.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	total := time.Duration(0)
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(ticks) * 10 * time.Millisecond
	}
	return total
}

// rss is how much memory the server's process holds, in bytes.
func rss(b *testing.B, server *rig.Server) int {
	b.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", server.PID()))
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// measured runs f and reports the server's CPU time for each of n operations.
func measured(b *testing.B, server *rig.Server, n int, unit string, f func()) {
	b.Helper()
	before := cpu(b, server)
	b.ResetTimer()
	f()
	b.StopTimer()
	b.ReportMetric(float64((cpu(b, server)-before).Microseconds())/float64(n), "server-cpu-µs/"+unit)
}

// BenchmarkDurableAck publishes 256-byte messages and waits for their ACKs, `window` of them under way.
func BenchmarkDurableAck(b *testing.B) {
	for _, window := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("window=", window), func(b *testing.B) {
			server := benchmarked(b)
			s := rig.Dial(b, server.Addr(), "/v1/ws?"+rig.Query("token", benchToken(b, server), "channel_id", "general", "echo", "false"))
			content := long(256)
			s.Publish(content)
			measured(b, server, b.N, "ack", func() {
				underWay := make(chan struct{}, window)
				var writing sync.WaitGroup
				writing.Go(func() {
					for i := range b.N {
						underWay <- struct{}{}
						s.Send(`{"id":"b-` + strconv.Itoa(i) + `","type":"message","content":"` + content + `"}`)
					}
				})
				for range b.N {
					if f := s.Next(); f.Type() != "ACK" {
						b.Fatal(f)
					}
					<-underWay
				}
				writing.Wait()
			})
		})
	}
}

// BenchmarkFanOut delivers 128-byte messages to many readers of one channel. An operation is one delivery.
func BenchmarkFanOut(b *testing.B) {
	for _, readers := range []int{10, 200} {
		b.Run(fmt.Sprint("readers=", readers), func(b *testing.B) {
			server := benchmarked(b)
			token := benchToken(b, server)
			dial := func(more ...string) *rig.Socket {
				return rig.Dial(b, server.Addr(), "/v1/ws?"+rig.Query(append([]string{"token", token, "channel_id", "general"}, more...)...))
			}
			all := make([]*rig.Counter, readers)
			for i := range all {
				all[i] = rig.Count(b, server.Addr(), "/v1/ws?"+rig.Query("token", token, "channel_id", "general"))
			}
			writer := dial("echo", "false")
			messages := max(1, b.N/readers)
			measured(b, server, messages*readers, "delivery", func() {
				underWay := make(chan struct{}, 256)
				var writing sync.WaitGroup
				writing.Go(func() {
					for i := range messages {
						underWay <- struct{}{}
						writer.Send(`{"id":"b-` + strconv.Itoa(i) + `","type":"message","content":"` + long(64) + `"}`)
					}
				})
				for range messages {
					writer.Next()
					<-underWay
				}
				writing.Wait()
				for _, c := range all {
					c.Await(messages)
				}
			})
		})
	}
}

// BenchmarkHandshake opens connections with a token that was seen before.
func BenchmarkHandshake(b *testing.B) {
	server := benchmarked(b)
	path := "/v1/ws?" + rig.Query("token", benchToken(b, server), "channel_id", "general")
	rig.Dial(b, server.Addr(), path).Drop()
	measured(b, server, b.N, "handshake", func() {
		for range b.N {
			rig.Count(b, server.Addr(), path).Drop()
		}
	})
}

// BenchmarkIdleConnection holds a thousand connections that say nothing.
func BenchmarkIdleConnection(b *testing.B) {
	const connections = 1000
	for range b.N {
		server := benchmarked(b)
		path := "/v1/ws?" + rig.Query("token", benchToken(b, server), "channel_id", "general")
		rig.Dial(b, server.Addr(), path).Settle() // what a tenant and a channel cost is not the connections'
		before := rss(b, server)
		for range connections {
			rig.Count(b, server.Addr(), path)
		}
		b.ReportMetric(float64(rss(b, server)-before)/1024/connections, "server-KiB/conn")
		server.Kill()
	}
}
