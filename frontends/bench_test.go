package frontends

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// rawClient opens a connection with the least a client can do, so that a profile shows the server.
func rawClient(b *testing.B, addr, path string) (net.Conn, *bufio.Reader) {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path)
	r := bufio.NewReaderSize(conn, 4<<10)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		b.Fatalf("upgrade: %v, %v", resp, err)
	}
	return conn, r
}

// clientFrame masks text with zeros, which costs nobody anything.
func clientFrame(text string) []byte {
	b := []byte{0x81, 0x80 | 126}
	b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
	return append(append(b, 0, 0, 0, 0), text...)
}

// BenchmarkHandshake opens connections of agents who were never seen before, each to its channel and its inbox, and keeps
// them. Then it says what one of them holds when it is idle.
func BenchmarkHandshake(b *testing.B) {
	s := startServer(b)
	rawClient(b, s.addr, "/v1/ws?channel_id=c0&token="+s.ask(b, "token first"))
	paths := make([]string, b.N)
	for i := range paths {
		paths[i] = fmt.Sprint("/v1/ws?channel_id=c", i%(len(paths)/10+1), "&token=", s.ask(b, fmt.Sprint("token a", i)))
	}
	all, heap, stack := s.memory(b)
	var setup errgroup.Group
	setup.SetLimit(32)
	conns := make([]net.Conn, b.N)
	s.measure(b, b.N, "handshake", func() {
		for i, path := range paths {
			setup.Go(func() error {
				conns[i], _ = rawClient(b, s.addr, path)
				return nil
			})
		}
		_ = setup.Wait()
	})
	s.ask(b, "cpu")
	<-time.After(2 * time.Second) // what a connection has started has ended
	all2, heap2, stack2 := s.memory(b)
	b.ReportMetric((all2-all)/1024/float64(b.N), "KiB/conn")
	b.ReportMetric((heap2-heap)/1024/float64(b.N), "heap-KiB/conn")
	b.ReportMetric((stack2-stack)/1024/float64(b.N), "stack-KiB/conn")
	for _, c := range conns {
		c.Close()
	}
}

// BenchmarkAck publishes 128 bytes over some connections with some messages in flight on each.
func BenchmarkAck(b *testing.B) {
	for _, c := range []struct{ connections, window int }{{1, 1}, {1, 64}, {100, 16}} {
		b.Run(fmt.Sprintf("%dx%d", c.connections, c.window), func(b *testing.B) {
			s := startServer(b)
			publishers := make([]*publisher, c.connections)
			per := b.N/c.connections + 1
			for i := range publishers {
				publishers[i] = newPublisher(b, s, i, i, c.window)
				publishers[i].run(b, c.window)
			}
			s.measure(b, per*c.connections, "ack", func() { runAll(b, publishers, per) })
		})
	}
}

// BenchmarkChannels publishes at full rate, two messages in flight a channel, to 500 channels with two readers each.
func BenchmarkChannels(b *testing.B) {
	const channels, readers, window = 500, 2, 2
	s := startServer(b)
	publishers := make([]*publisher, channels)
	per := b.N/channels/readers + 1
	var reading sync.WaitGroup
	for i := range publishers {
		for r := range readers {
			_, in := rawClient(b, s.addr, fmt.Sprint("/v1/ws?channel_id=c", i, "&token=", s.ask(b, fmt.Sprint("token r", i, "-", r))))
			reading.Go(func() {
				for range per + window {
					if err := readServerFrame(in); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		publishers[i] = newPublisher(b, s, i, i, window)
		publishers[i].run(b, window)
	}
	s.measure(b, per*channels*readers, "delivery", func() {
		runAll(b, publishers, per)
		reading.Wait()
	})
}

// publisher is a connection that publishes with a window.
type publisher struct {
	conn    net.Conn
	in      *bufio.Reader
	message []byte
	id      int // where the id begins in it
	window  int
	sent    int
}

func newPublisher(b *testing.B, s *served, agent, channel, window int) *publisher {
	b.Helper()
	conn, in := rawClient(b, s.addr, fmt.Sprint("/v1/ws?echo=false&channel_id=c", channel, "&token=", s.ask(b, fmt.Sprint("token p", agent))))
	text := `{"type":"message","id":"` + strings.Repeat("x", 10) + `","content":"` + strings.Repeat("c", 128) + `"}`
	frame := clientFrame(text)
	return &publisher{conn: conn, in: in, message: frame, id: strings.Index(string(frame), "xxxxxxxxxx"), window: window}
}

// run publishes n messages and returns when all are acknowledged.
func (p *publisher) run(b *testing.B, n int) {
	out := make([]byte, 0, p.window*len(p.message))
	sent, acked := 0, 0
	for acked < n {
		out = out[:0]
		for sent < n && sent-acked < p.window {
			start := len(out)
			out = append(out, p.message...)
			copy(out[start+p.id:], fmt.Sprintf("%010d", p.sent))
			p.sent++
			sent++
		}
		if len(out) > 0 {
			if _, err := p.conn.Write(out); err != nil {
				b.Error(err)
				return
			}
		}
		for first := true; acked < sent && (first || p.in.Buffered() > 8); first = false {
			if err := readServerFrame(p.in); err != nil {
				b.Error(err)
				return
			}
			acked++
		}
	}
}

func runAll(b *testing.B, all []*publisher, per int) {
	var running sync.WaitGroup
	for _, p := range all {
		running.Go(func() { p.run(b, per) })
	}
	running.Wait()
}

func readServerFrame(r *bufio.Reader) error {
	h, err := r.Peek(4)
	if err != nil {
		return err
	}
	n, skip := int(h[1]), 2
	if n == 126 {
		n, skip = int(binary.BigEndian.Uint16(h[2:])), 4
	}
	if n == 127 {
		return io.ErrUnexpectedEOF
	}
	_, err = r.Discard(skip + n)
	return err
}
