package ws

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// wire is the connection as the library sees it. Its reads come from the socket in large pieces, its writes, which are
// control frames only, join the queue.
type wire struct {
	conn *Conn
	left atomic.Bool     // the library has been let go of: its end is not the connection's
	peer *websocket.Conn // the library's: parses and answers
	br   *bufio.Reader   // what peer reads from, looked into by Pending
}

var _ net.Conn = (*wire)(nil)

var errFragments = errors.New("ws: message in too many fragments")

// Read serves the library from a chunk, so that a busy peer costs one system call for many messages. While it waits it
// holds no buffer.
func (w *wire) Read(p []byte) (int, error) {
	c := w.conn
	n, err := c.readSome(p)
	c.received += int64(n)
	if err == nil && c.ceiling != 0 && c.received > c.ceiling {
		c.Close(PolicyViolation, "message in too many fragments")
		err = errFragments
	}
	if err != nil {
		c.readErr = err
	}
	return n, err
}

func (c *Conn) readSome(p []byte) (int, error) {
	switch {
	case len(c.in) > 0:
		n := copy(p, c.in)
		c.in = c.in[n:]
		if len(c.in) == 0 {
			c.releaseInput()
		}
		return n, nil
	case c.readErr != nil:
		return 0, c.readErr
	case c.raw == nil:
		return c.net.Read(p)
	}
	c.dst, c.dstN = p, 0
	err := c.raw.Read(c.fill)
	for c.excused(err) {
		err = c.raw.Read(c.fill)
	}
	c.dst = nil
	if err == nil {
		err = c.readErr
	}
	return c.dstN, err
}

// awaitInput waits until there is something for the library to read, or reports that the peer is silent. The library could
// wait for itself, but so deep in calls that every idle connection would hold twice the stack. TLS has no such way.
func (c *Conn) awaitInput() (silent bool) {
	for c.raw != nil && c.readErr == nil && !c.Pending() {
		c.once = c.brief && c.parking.poller != nil
		err := c.raw.Read(c.fill)
		last := c.once
		c.once = false
		if c.excused(err) {
			return true
		}
		if err != nil {
			c.readErr = err
			return false
		}
		c.takeControls()
		if last && c.readErr == nil && !c.Pending() {
			return true
		}
	}
	return false
}

// readAttempt reads once, into dst or, if that is small, into a chunk. It reports false, so that the runtime's poller
// calls it again when there is input, if there was none.
func (c *Conn) readAttempt(fd uintptr) bool {
	buf, lent := c.dst, (*chunk)(nil)
	if len(buf) < chunkSize {
		lent = c.set.pools.chunk()
		buf = lent[:]
	}
	n, err := receive(fd, buf)
	if err == nil && n == 0 {
		err = io.EOF
	}
	if lent == nil {
		c.dstN = n
	} else {
		c.dstN = copy(c.dst, buf[:n])
		c.in, c.inChunk = buf[c.dstN:n], lent
		if len(c.in) == 0 {
			c.releaseInput()
		}
	}
	if wouldBlock(err) {
		return c.once
	}
	c.readErr = err
	return true
}

func (c *Conn) releaseInput() {
	c.set.pools.putChunk(c.inChunk)
	c.in, c.inChunk = nil, nil
}

// Write queues one control frame: the library's buffer has room for a whole one and is flushed behind each. It never
// waits. Nothing follows a close frame.
func (w *wire) Write(p []byte) (int, error) {
	c := w.conn
	frame := append([]byte(nil), p...)
	c.mu.Lock()
	switch {
	case c.end.broken:
		c.mu.Unlock()
		return 0, net.ErrClosed
	case c.end.why != nil: // our own close frame has gone before
	case frame[0]&opMask == opClose:
		c.answerClose(frame)
	default:
		_ = c.push(frame) // if the peer is slow, the next read says so
	}
	write := c.claim()
	c.mu.Unlock()
	if write {
		c.writeOnce()
	}
	return len(p), nil
}

// answerClose queues the library's close frame, which answers the peer's or says what the peer did wrong. mu is held.
func (c *Conn) answerClose(frame []byte) {
	code, reason := parseClose(frame[2:])
	if !utf8.ValidString(reason) { // an echo of the peer's
		code, reason = InvalidPayload, "close reason is not UTF-8"
		frame = closeFrame(code, reason)
	}
	if code == NoStatus {
		// A peer that gave no code left on purpose (RFC 6455, section 5.5.1, leaves the answer's code to us). Clients
		// that come back after every code but 1000 see the answer's, and must stay away.
		frame = closeFrame(Normal, "")
	}
	c.beginEnd(&CloseError{Code: code, Reason: reason}, frame, false)
}

// Close is the library giving up. The socket is closed when the handler has returned; what is left to do here is to end a
// read that would not end, which the library wants only when a control frame has not come to its end in five seconds.
func (w *wire) Close() error {
	if !w.left.Load() {
		w.conn.Close(ProtocolError, "control frame not completed in time")
	}
	return nil
}

func (w *wire) LocalAddr() net.Addr                { return w.conn.net.LocalAddr() }
func (w *wire) RemoteAddr() net.Addr               { return w.conn.net.RemoteAddr() }
func (w *wire) SetDeadline(t time.Time) error      { return w.conn.net.SetDeadline(t) }
func (w *wire) SetReadDeadline(t time.Time) error  { return w.conn.net.SetReadDeadline(t) }
func (w *wire) SetWriteDeadline(t time.Time) error { return w.conn.net.SetWriteDeadline(t) }
