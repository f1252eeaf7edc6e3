package ws_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"parley/frontends/ws"
)

// cpu returns the processor time that this process has used, the kernel's work for it included.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, spent time.Duration, per string) {
	b.ReportMetric(float64(spent.Nanoseconds())/1000/float64(b.N), "cpu-µs/"+per)
}

// BenchmarkFanout sends to 1,000 connections. An operation is one message delivered to one of them.
func BenchmarkFanout(b *testing.B) {
	const subscribers = 1000
	e := newEdge(b, edgeConfig{})
	s := newSwarm(b)
	s.do("read %s %d", e.Listener.Addr(), subscribers)
	conns := make([]*ws.Conn, subscribers)
	for i := range conns {
		conns[i] = receive(b, e.conns)
	}
	for _, size := range []int{128, 1024} {
		for _, batch := range []int{1, 16, 32} {
			b.Run(fmt.Sprintf("bytes=%d/batch=%d", size, batch), func(b *testing.B) { benchmarkFanout(b, conns, size, batch) })
		}
	}
	s.do("hang")
}

func benchmarkFanout(b *testing.B, conns []*ws.Conn, size, batch int) {
	var frames []byte
	for range batch {
		frames = ws.AppendText(frames, make([]byte, size))
	}
	before := cpu(b)
	b.ResetTimer()
	for sent := 0; sent < b.N; {
		for _, c := range conns {
			if sent += batch; sent >= b.N+batch {
				break
			}
			if err := c.AwaitBacklog(b.Context(), 0); err != nil {
				b.Fatal(err)
			}
			if err := c.Send(frames); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, c := range conns {
		if err := c.AwaitBacklog(b.Context(), 0); err != nil {
			b.Fatal(err)
		}
	}
	reportCPU(b, cpu(b)-before, "delivery")
}

// BenchmarkReceive reads small messages of one busy publisher.
func BenchmarkReceive(b *testing.B) {
	read := make(chan struct{})
	e := newEdge(b, edgeConfig{stays: true, handle: func(c *ws.Conn) error {
		defer close(read)
		for range b.N {
			if msg, _, err := c.ReadMessage(); err != nil || len(msg) != floodSize {
				return fmt.Errorf("message of %d bytes, %w", len(msg), err)
			}
		}
		return nil
	}})
	s := newSwarm(b)
	before := cpu(b)
	b.ResetTimer()
	s.do("flood %s 1 %d", e.Listener.Addr(), b.N)
	<-read
	reportCPU(b, cpu(b)-before, "message")
	if err := receive(b, e.ended); err != nil {
		b.Error(err)
	}
}

// BenchmarkHandshake upgrades requests on new TCP connections.
func BenchmarkHandshake(b *testing.B) {
	e := newEdge(b, edgeConfig{})
	s := newSwarm(b)
	var spent time.Duration
	b.ResetTimer()
	for left := b.N; left > 0; left -= 1000 {
		n := min(left, 1000)
		before := cpu(b)
		s.do("dial %s %d", e.Listener.Addr(), n)
		spent += cpu(b) - before
		b.StopTimer()
		s.do("hang")
		for range n {
			receive(b, e.conns)
			receive(b, e.ended)
		}
		await(b, "all connections gone", func() bool { return e.set.Len() == 0 })
		b.StartTimer()
	}
	reportCPU(b, spent, "handshake")
}

// BenchmarkIdle reports the resident memory of one connection that has nothing to do, out of 5,000.
func BenchmarkIdle(b *testing.B) {
	const idle = 5000
	for i := range b.N {
		e := newEdge(b, edgeConfig{})
		s := newSwarm(b)
		before := resident(b)
		s.do("dial %s %d", e.Listener.Addr(), idle)
		for range idle {
			receive(b, e.conns)
		}
		if i == 0 { // later rounds use the stacks of the first again
			b.ReportMetric(float64(resident(b)-before)/idle/1024, "KiB/conn")
		}
		s.do("hang")
	}
}

// resident returns how many bytes of this process are in memory, after everything that can be given back was.
func resident(b *testing.B) int {
	runtime.GC()
	debug.FreeOSMemory()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}
