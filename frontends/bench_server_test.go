package frontends

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/broker"
	"parley/tenants"
)

// serveBenchmark in the environment makes this test binary a server for a benchmark in another process, so that what is
// measured and profiled is the server alone. It takes commands from its standard input, one a line, and answers each with
// a line; it ends with its input. PARLEY_PROFILE names a file for its CPU profile, PARLEY_HEAP one for its heap.
const serveBenchmark = "PARLEY_SERVE_BENCHMARK"

func benchmarkServer() {
	served := false
	testing.Benchmark(func(b *testing.B) {
		if served { // it is called again with a larger b.N when it was quick
			return
		}
		served = true
		w := newWorld(b)
		fmt.Fprintln(os.Stdout, w.url)
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			command, arg, _ := strings.Cut(in.Text(), " ")
			fmt.Fprintln(os.Stdout, map[string]func(*testing.B, string) string{
				"token": w.answerToken, "limit": w.answerLimit, "unlimit": w.answerUnlimit, "sink": answerSink, "cpu": answerCPU, "memory": answerMemory, "profile": answerProfile,
			}[command](b, arg))
		}
		pprof.StopCPUProfile()
	})
}

// answerToken is a token for an agent of acme, or for another tenant's, as tenant/agent.
func (w *world) answerToken(b *testing.B, who string) string {
	tenant, agent, other := strings.Cut(who, "/")
	if !other {
		tenant, agent = "acme", who
	}
	return w.token(b, tenants.TokenSpec{Tenant: tenants.ID(tenant), Agent: broker.Token(agent)})
}

func (w *world) answerLimit(b *testing.B, setting string) string {
	tenant, setting, _ := strings.Cut(setting, " ")
	w.limit(b, tenants.ID(tenant), setting)
	return "ok"
}

func (w *world) answerUnlimit(b *testing.B, _ string) string {
	w.unlimit(b)
	return "ok"
}

// answerSink is an address where whatever comes is read and forgotten.
func answerSink(b *testing.B, _ string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() })
		}
	})
	b.Cleanup(func() { _ = l.Close(); running.Wait() })
	return l.Addr().String()
}

// answerCPU is what the process has spent so far, in nanoseconds of user and system time.
func answerCPU(b *testing.B, _ string) string {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return strconv.FormatInt(u.Utime.Nano()+u.Stime.Nano(), 10)
}

// answerMemory is the memory that the process holds after a collection, in bytes: all of it, its heap, its stacks.
func answerMemory(b *testing.B, _ string) string {
	debug.FreeOSMemory()
	if name := os.Getenv("PARLEY_HEAP"); name != "" {
		f, err := os.Create(name)
		if err != nil {
			b.Fatal(err)
		}
		_ = pprof.WriteHeapProfile(f)
		_ = f.Close()
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, _ := strconv.Atoi(strings.Fields(string(statm))[1])
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprint(pages*os.Getpagesize(), " ", m.HeapAlloc, " ", m.StackInuse)
}

func answerProfile(b *testing.B, _ string) string {
	if name := os.Getenv("PARLEY_PROFILE"); name != "" {
		f, err := os.Create(name)
		if err != nil {
			b.Fatal(err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			b.Fatal(err)
		}
	}
	return "ok"
}

// served is such a server, as the benchmark has it.
type served struct {
	addr string
	in   *os.File
	out  *bufio.Scanner
}

func startServer(b *testing.B) *served {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.timeout=10m")
	cmd.Env = append(os.Environ(), serveBenchmark+"=1")
	cmd.Stderr = os.Stderr
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdin = r
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	_ = r.Close()
	s := &served{in: w, out: bufio.NewScanner(out)}
	b.Cleanup(func() {
		_ = w.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	s.out.Scan()
	s.addr = s.out.Text()
	return s
}

func (s *served) ask(b *testing.B, command string) string {
	b.Helper()
	fmt.Fprintln(s.in, command)
	if !s.out.Scan() {
		b.Fatal("the server has ended")
	}
	return s.out.Text()
}

func (s *served) cpu(b *testing.B) time.Duration {
	b.Helper()
	n, err := strconv.ParseInt(s.ask(b, "cpu"), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(n)
}

func (s *served) memory(b *testing.B) (all, heap, stack float64) {
	b.Helper()
	if _, err := fmt.Sscan(s.ask(b, "memory"), &all, &heap, &stack); err != nil {
		b.Fatal(err)
	}
	return all, heap, stack
}

// measure runs f and reports what the server spent on each of n operations.
func (s *served) measure(b *testing.B, n int, unit string, f func()) {
	b.Helper()
	s.ask(b, "profile")
	before, start := s.cpu(b), time.Now()
	b.ResetTimer()
	f()
	b.StopTimer()
	b.ReportMetric(float64((s.cpu(b)-before).Nanoseconds())/1e3/float64(n), "server-µs/"+unit)
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), unit+"/s")
}
