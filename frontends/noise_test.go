package frontends

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// serveNoise in the environment makes this test binary a tenant that sends too much, so that what it spends itself is not the
// measuring client's. It holds "address path sockets rate": it connects, says so with a line, begins with a line from its
// standard input, and at its end answers how many messages a second it has sent. An empty path is no WebSocket.
const serveNoise = "PARLEY_SERVE_NOISE"

func benchmarkNoise(spec string) {
	made := false
	testing.Benchmark(func(b *testing.B) {
		if made {
			return
		}
		made = true
		var addr, path string
		var sockets, rate int
		if _, err := fmt.Sscanf(spec, "%q %q %d %d", &addr, &path, &sockets, &rate); err != nil {
			b.Fatal(err)
		}
		var all []net.Conn
		for range sockets {
			if path != "" {
				conn, in := rawClient(b, addr, path)
				go func() { _, _ = io.Copy(io.Discard, in) }() // until the process ends
				all = append(all, conn)
				continue
			}
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, conn)
		}
		fmt.Fprintln(os.Stdout, "connected")
		in := bufio.NewScanner(os.Stdin)
		in.Scan()
		stop := makeNoise(all, rate/sockets)
		in.Scan()
		fmt.Fprintln(os.Stdout, stop())
	})
}

// makeNoise has every socket send so many messages a second, in a burst every 10 ms, as far as the other side takes them. stop
// closes the sockets and returns how many messages a second were sent on all.
func makeNoise(all []net.Conn, perSecond int) (stop func() float64) {
	const every = 10 * time.Millisecond
	burst := perSecond * int(every) / int(time.Second)
	text := bytes.Repeat(clientFrame(`{"type":"message","content":"noise"}`), burst)
	began, ended := time.Now(), make(chan struct{})
	var running sync.WaitGroup
	var sent atomic.Int64
	for _, c := range all {
		running.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-ended:
					return
				}
				if _, err := c.Write(text); err != nil {
					return
				}
				sent.Add(int64(burst))
			}
		})
	}
	return func() float64 {
		close(ended)
		rate := float64(sent.Load()) / time.Since(began).Seconds()
		for _, c := range all {
			_ = c.Close()
		}
		running.Wait()
		return rate
	}
}

// noise is such a tenant, as the benchmark has it.
type noise struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startNoise returns when the tenant is connected. Clients are elsewhere and don't take the broker's time: where the machine has
// not enough for both, this one waits.
func startNoise(b *testing.B, addr, path string, sockets, rate int) *noise {
	b.Helper()
	cmd := exec.Command("nice", "-n", "19", os.Args[0], "-test.timeout=10m")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", serveNoise+"="+fmt.Sprintf("%q %q %d %d", addr, path, sockets, rate))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	n := &noise{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() }) // unless end did
	if !n.out.Scan() {
		b.Fatal("the noise has ended before it began")
	}
	return n
}

func (n *noise) begin() { fmt.Fprintln(n.in) }

// end returns how many messages a second were sent.
func (n *noise) end(b *testing.B) float64 {
	b.Helper()
	fmt.Fprintln(n.in)
	n.out.Scan()
	rate, err := strconv.ParseFloat(n.out.Text(), 64)
	if err != nil {
		b.Fatal(err)
	}
	_ = n.in.Close()
	if err := n.cmd.Wait(); err != nil {
		b.Error(err)
	}
	return rate
}
