package frontends

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"parley/broker"
	"parley/tenants"
)

// rawClient opens a connection with the least a client can do, so that a profile shows the server.
func rawClient(b *testing.B, addr, path string) (net.Conn, *bufio.Reader) {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path)
	r := bufio.NewReaderSize(conn, 64<<10)
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

func BenchmarkHandshake(b *testing.B) {
	w := newWorld(b)
	token := w.token(b, tenants.TokenSpec{Tenant: "acme", Agent: "ann"})
	for b.Loop() {
		conn, _ := rawClient(b, w.url, "/v1/ws?channel_id=news&token="+token)
		conn.Close()
	}
}

// BenchmarkAck publishes over 100 connections with 16 messages in flight each, as a whole.
func BenchmarkAck(b *testing.B) {
	w := newWorld(b)
	const connections, window = 100, 16
	message := clientFrame(`{"type":"message","id":"` + strings.Repeat("x", 10) + `","content":"` + strings.Repeat("c", 128) + `"}`)
	per := b.N/connections + 1
	done := make(chan struct{})
	conns := make([]net.Conn, connections)
	readers := make([]*bufio.Reader, connections)
	for i := range conns {
		token := w.token(b, tenants.TokenSpec{Tenant: "acme", Agent: broker.Token(fmt.Sprint("a", i))})
		conns[i], readers[i] = rawClient(b, w.url, fmt.Sprint("/v1/ws?echo=false&channel_id=c", i, "&token=", token))
	}
	b.ResetTimer()
	for i := range conns {
		go func() {
			defer func() { done <- struct{}{} }()
			out := make([]byte, 0, window*len(message))
			at := strings.Index(string(message), "xxxxxxxxxx")
			n, acked := 0, 0
			for acked < per {
				out = out[:0]
				for n < per && n-acked < window {
					start := len(out)
					out = append(out, message...)
					copy(out[start+at:], fmt.Sprintf("%010d", n))
					n++
				}
				if len(out) > 0 {
					conns[i].Write(out)
				}
				if _, err := readServerFrame(readers[i]); err != nil {
					b.Error(err)
					return
				}
				acked++
				for acked < n && readers[i].Buffered() > 8 {
					if _, err := readServerFrame(readers[i]); err != nil {
						b.Error(err)
						return
					}
					acked++
				}
			}
		}()
	}
	for range conns {
		<-done
	}
}

func readServerFrame(r *bufio.Reader) (int, error) {
	h, err := r.Peek(4)
	if err != nil {
		return 0, err
	}
	n, skip := int(h[1]), 2
	if n == 126 {
		n, skip = int(binary.BigEndian.Uint16(h[2:])), 4
	}
	if n == 127 {
		return 0, io.ErrUnexpectedEOF
	}
	return r.Discard(skip + n)
}
