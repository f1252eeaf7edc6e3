package ws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// HardLimit is the size in bytes of the largest message that a connection survives: a longer one ends it with TooBig.
const HardLimit = 1 << 20

// framing is what the frames of one message may add to its payload. It leaves room for thousands of fragments, but not
// for a message made of empty ones.
const framing = 64 << 10

// Kind tells text from binary messages.
type Kind byte

// The kinds of message.
const (
	Text Kind = iota + 1
	Binary
)

// TooBigError says that a message was over [Options.MessageLimit], but not over [HardLimit]: it has been read to its end
// and the connection goes on.
type TooBigError struct {
	Size  int // of the message, in bytes
	Limit int
}

// Error names both sizes.
func (e *TooBigError) Error() string {
	return fmt.Sprintf("ws: message of %d bytes exceeds the limit of %d", e.Size, e.Limit)
}

// ErrSilent is what ReadMessage returns on a connection with [Options.Done] from which no message has come for a while. The
// handler should return, and is called again when there is something to read.
var ErrSilent = errors.New("ws: nothing to read")

// ReadMessage waits for the next message. The bytes are valid until the next call, and text is valid UTF-8. A message
// over the limit comes cut to the limit, its text unchecked, with a *TooBigError; the connection goes on. Any other error
// but ErrSilent is a *CloseError: the connection has ended. The handler should return.
//
// Only the handler may call it. Reading is what answers pings and close frames, so the handler must keep reading.
func (c *Conn) ReadMessage() ([]byte, Kind, error) {
	if err := c.Closed(); err != nil {
		return nil, 0, err
	}
	c.takeControls()
	if !c.Pending() { // it may be long until the next message
		c.releaseMessage()
		if c.silent = c.awaitInput(); c.silent {
			return nil, 0, ErrSilent
		}
	}
	if err := c.attach(); err != nil {
		return nil, 0, c.readFailed(err)
	}
	typ, r, err := c.wire.peer.Reader(context.Background())
	if err != nil {
		return nil, 0, c.readFailed(err)
	}
	c.brief = false
	c.keep.message.Store(c.set.clock.Load())
	c.ceiling = c.received + HardLimit + framing
	msg, size, err := c.readBody(r)
	c.ceiling = 0
	c.keep.message.Store(0)
	c.keep.heard.Store(c.set.clock.Load())
	if err != nil {
		return nil, 0, c.readFailed(err)
	}
	c.keep.messages.Add(1)
	c.keep.bytes.Add(uint64(size))
	switch {
	case size > len(msg):
		return msg, Kind(typ), &TooBigError{Size: size, Limit: c.messageLimit}
	case typ == websocket.MessageText && !utf8.Valid(msg):
		c.Close(InvalidPayload, "text message is not UTF-8")
		return nil, 0, c.Closed()
	}
	return msg, Kind(typ), nil
}

// LimitMessages sets how many bytes a message may have from the next one on, in the place of [Options.MessageLimit]. Only the
// handler may call it.
func (c *Conn) LimitMessages(n int) { c.messageLimit = min(n, HardLimit) }

// Pending reports whether more input is already in memory, perhaps only a part of a message: a hint that it pays to
// gather before acting. Only the handler may call it.
func (c *Conn) Pending() bool { return len(c.in) > 0 || c.wire != nil && c.wire.br.Buffered() > 0 }

// spill is room behind the limit for what is only counted.
const spill = 4 << 10

// readBody reads a message to its end and returns at most messageLimit bytes of it, and its size.
func (c *Conn) readBody(r io.Reader) (msg []byte, size int, err error) {
	if c.message == nil {
		c.message = c.set.pools.message()
	}
	m, kept := c.message, 0
	for {
		if kept == len(m.buf) {
			m.buf = append(m.buf, make([]byte, len(m.buf))...)
		}
		n, err := r.Read(m.buf[kept:min(len(m.buf), c.messageLimit+spill)])
		size += n
		kept = min(kept+n, c.messageLimit)
		if errors.Is(err, io.EOF) {
			return m.buf[:kept], size, nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
}

// readFailed turns the library's error into the connection's end.
func (c *Conn) readFailed(err error) *CloseError {
	var closed websocket.CloseError
	byPeer := errors.As(err, &closed)
	c.mu.Lock()
	switch {
	case byPeer:
		c.end.peer = true
		if c.end.why != nil && !c.end.local {
			why := *c.end.why
			why.ByPeer = true
			c.end.why = &why
		}
	case c.end.why != nil: // by us, or the library has told the peer what it did wrong
	case c.readErr != nil:
		c.breakOff(c.readErr)
	}
	c.mu.Unlock()
	c.close(&CloseError{Code: ProtocolError, Reason: cleanReason(rootOf(err).Error()), Err: err}, false) // unless it has ended
	return c.Closed()
}

func (c *Conn) releaseMessage() {
	if c.message != nil {
		c.set.pools.putMessage(c.message)
		c.message = nil
	}
}

// rootOf returns the innermost error, which names the fault without the calls in which it was found.
func rootOf(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
