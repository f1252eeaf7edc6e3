package ws_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// swarmEnv makes the test binary the other end of a benchmark's connections, so that only our end is measured.
const swarmEnv = "PARLEY_WS_SWARM"

// floodSize is the size of the messages that a flood consists of.
const floodSize = 128

// swarm is that process.
type swarm struct {
	b   *testing.B
	in  io.Writer
	out *bufio.Reader
}

func newSwarm(b *testing.B) *swarm {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), self) // the cleanup below ends it
	cmd.Env = append(os.Environ(), swarmEnv+"=1")
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
	b.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Errorf("swarm: %v", err)
		}
	})
	return &swarm{b: b, in: in, out: bufio.NewReader(out)}
}

// do gives an order and returns when it has been carried out.
func (s *swarm) do(order string, args ...any) {
	s.b.Helper()
	if _, err := fmt.Fprintf(s.in, order+"\n", args...); err != nil {
		s.b.Fatalf("swarm: %v", err)
	}
	if answer, err := s.out.ReadString('\n'); err != nil || answer != "done\n" {
		s.b.Fatalf("swarm: %s: %q, %v", order, answer, err)
	}
}

// swarmMain carries out the orders "dial address n" (connect and stay silent), "read address n" (connect and read for
// ever), "flood address 1 messages" (connect and send) and "hang" (reset all connections), until its input ends. It returns
// the exit status.
func swarmMain(in io.Reader, out io.Writer) int {
	var conns []net.Conn
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var order, address string
		var n, messages int
		_, _ = fmt.Sscan(lines.Text(), &order, &address, &n, &messages) // what is missing is not needed
		if order == "hang" {
			for _, nc := range conns {
				_ = nc.(*net.TCPConn).SetLinger(0)
				nc.Close()
			}
			conns = nil
		}
		dialed, err := swarmDialAll(address, n)
		if err != nil {
			fmt.Fprintln(os.Stderr, "swarm:", err)
			return 1
		}
		conns = append(conns, dialed...)
		if order == "read" {
			for _, nc := range dialed {
				go func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{nc}) }()
			}
		}
		for ; messages > 0; messages -= 100 {
			_, _ = conns[len(conns)-1].Write(bytes.Repeat(text(string(make([]byte, floodSize))), min(messages, 100))) // or the benchmark hangs
		}
		fmt.Fprintln(out, "done")
	}
	return 0
}

// swarmDialAll upgrades n connections, some at a time, as clients that come back after a failure do.
func swarmDialAll(address string, n int) ([]net.Conn, error) {
	const together = 32
	conns, errs := make([]net.Conn, n), make([]error, together)
	var dialing sync.WaitGroup
	for first := range together {
		dialing.Go(func() {
			for i := first; i < n && errs[first] == nil; i += together {
				conns[i], errs[first] = swarmDial(address)
			}
		})
	}
	dialing.Wait()
	return conns, errors.Join(errs...)
}

func swarmDial(address string) (net.Conn, error) {
	nc, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(nc, upgradeRequest); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(nc, 512), nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("upgrade: %v, %w", res, err)
	}
	return nc, nil
}
