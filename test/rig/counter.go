package rig

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Counter is a client for benchmarks: it counts the messages that it receives and looks at nothing else, so that it
// takes as little as possible of the machine that it shares with the server.
type Counter struct {
	t    testing.TB
	conn net.Conn
	done chan struct{}

	mu      sync.Mutex
	changed sync.Cond
	count   int  // guarded by mu
	ended   bool // guarded by mu
}

// Count opens path on addr and counts what comes.
func Count(t testing.TB, addr, path string) *Counter {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	request := "GET " + path + " HTTP/1.1\r\nHost: " + addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.Copy(conn, strings.NewReader(request)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("open %s: %v %v", path, res, err)
	}
	c := &Counter{t: t, conn: conn, done: make(chan struct{})}
	c.changed.L = &c.mu
	go c.read(in)
	t.Cleanup(c.Drop)
	return c
}

// read counts frames. The server sends whole messages in unmasked frames.
func (c *Counter) read(in *bufio.Reader) {
	defer close(c.done)
	for {
		n, data, err := nextFrame(in)
		if err == nil {
			_, err = in.Discard(n)
		}
		c.mu.Lock()
		if err != nil {
			c.ended = true
		} else if data {
			c.count++
		}
		c.changed.Broadcast()
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func nextFrame(in *bufio.Reader) (length int, data bool, err error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:2]); err != nil {
		return 0, false, err
	}
	data, length = head[0]&0x0f <= 2, int(head[1]&0x7f)
	switch length {
	case 126:
		_, err = io.ReadFull(in, head[:2])
		length = int(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(in, head[:8])
		length = int(binary.BigEndian.Uint64(head[:8]))
	}
	return length, data, err
}

// Await returns once n messages have come since the start.
func (c *Counter) Await(n int) {
	c.t.Helper()
	giveUp := time.AfterFunc(Patience, c.Drop)
	defer giveUp.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.count < n {
		if c.ended {
			c.t.Fatalf("received %d of %d messages before the connection ended", c.count, n)
		}
		c.changed.Wait()
	}
}

// Drop ends the connection without a word.
func (c *Counter) Drop() {
	c.conn.Close()
	<-c.done
}
