package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Link carries what there is most of between this node and an account: messages for the streams, the streams' answers and
// live copies. It spares what a general client does for each message: a map of headers, a copy, a queue for each
// subscription. Its methods may be called concurrently. It ends with its Conn.
type Link interface {
	// Publish sends a message and returns before it is gone; its data is copied. Without a connection it fails at once.
	Publish(m Departure) error

	// Subscribe has t take what is published on a subject. It does not wait until the server knows: see Flush.
	Subscribe(subject string, t Taker) (*LinkSub, error)

	// Unsubscribe ends a subscription. The Taker may still be called a last time.
	Unsubscribe(s *LinkSub)

	// Flush returns when the server has seen all that was done before.
	Flush(ctx context.Context) error
}

// Taker receives what arrives on a Link. Its methods are called by one goroutine, which they must not hold up.
type Taker interface {
	// Take takes one message, whose memory is the caller's again afterwards.
	Take(m *Arrival)

	// Pause follows Take when nothing more is there for the moment: to act on all that was taken.
	Pause()
}

// Departure is a message to a stream, which answers to Inbox + "." + Number in base 36, or to somebody else.
type Departure struct {
	Subject Subject
	Inbox   string // Zero means that no answer is wanted.
	Number  uint64
	MsgID   string // by which the stream recognises a repetition. Zero means that it does not.
	Data    []byte

	Unstored bool      // no stream takes it: it is for those who listen now
	CopyOf   *Original // it is a live copy, as streams make them. Nil means that it is not.

	After *uint64       // the newest message on the subject must be this one, 0 for none. Nil means any.
	TTL   time.Duration // how long the message is kept, in whole seconds. Zero means as long as the stream's others.
	Trace string        // the traceparent of whatever it is about. Zero means that nobody traces it.
}

// Original is the stored message that a live copy is of.
type Original struct {
	Stream   Stream
	Subject  Subject
	Seq      uint64
	Previous uint64 // the sequence of the one before it on the same subject, 0 when it is the first
}

// lines appends the header lines that tell a copy, as a stream writes them.
func (o *Original) lines(b []byte) []byte {
	b = fmt.Appendf(b, "Nats-Stream: %s\r\nNats-Subject: %s\r\n", o.Stream, o.Subject)
	return fmt.Appendf(b, "Nats-Sequence: %d\r\nNats-Last-Sequence: %d\r\n", o.Seq, o.Previous)
}

// traceHeader is the W3C's name of the header line.
const traceHeader = "traceparent"

// header appends the message's header, nothing for a message that needs none.
func (m *Departure) header(b []byte) []byte {
	if m.MsgID == "" && !m.Unstored && m.After == nil && m.TTL <= 0 && m.Trace == "" && m.CopyOf == nil {
		return b
	}
	b = append(b, "NATS/1.0\r\n"...)
	if m.MsgID != "" {
		b = append(append(append(b, nats.MsgIdHdr+": "...), m.MsgID...), "\r\n"...)
	}
	if m.Unstored { // a stream refuses what is meant for another one, and no stream has this name
		b = append(b, nats.ExpectedStreamHdr+": -\r\n"...)
	}
	if m.After != nil {
		b = append(strconv.AppendUint(append(b, nats.ExpectedLastSubjSeqHdr+": "...), *m.After, 10), "\r\n"...)
	}
	if m.TTL > 0 { // with its unit: for a bare number the server tries in vain to read a duration first
		b = append(strconv.AppendInt(append(b, nats.MsgTTLHdr+": "...), int64(m.TTL/time.Second), 10), "s\r\n"...)
	}
	if m.CopyOf != nil {
		b = m.CopyOf.lines(b)
	}
	if m.Trace != "" {
		b = append(append(append(b, traceHeader+": "...), m.Trace...), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// Arrival is a message on a Link.
type Arrival struct {
	Sub     *LinkSub
	Subject []byte
	Reply   []byte // where an answer is wanted; nil for nowhere
	Header  []byte // as on the wire; nil when there is none
	Data    []byte
}

// LinkSub is a subscription on a Link.
type LinkSub struct {
	subject string
	taker   Taker
	id      uint64
	paused  bool         // Pause was called since the last Take; touched by the Link's reader only
	stop    func() error // how to end it, of a Link that is made of a client
}

// NewLinkSub returns a subscription that no Link serves, for tests of Takers.
func NewLinkSub() *LinkSub { return &LinkSub{} }

var errUnlinked = errors.New("not connected")

// Link returns the connection's Link, opening it at the first call.
func (c *Conn) Link() (Link, error) {
	c.linking.Lock()
	defer c.linking.Unlock()
	if c.closed {
		return nil, errUnlinked
	}
	if c.link != nil {
		return c.link, nil
	}
	if c.engine.server == nil {
		c.link = &clientLink{nc: c.nc}
		return c.link, nil
	}
	p := newPipe(c.engine, c.id, c.lost)
	if err := p.open(); err != nil {
		return nil, fmt.Errorf("open a link to account %s: %w", c.id, err)
	}
	c.link, c.closeLink = p, p.close
	return p, nil
}

// endLink closes the Link if there is one. No other is opened.
func (c *Conn) endLink() {
	c.linking.Lock()
	defer c.linking.Unlock()
	c.closed = true
	if c.closeLink != nil {
		c.closeLink()
	}
}

// Number returns the number of the Departure that the message answers, false when it answers none.
func (m *Arrival) Number() (uint64, bool) {
	digits := m.Subject[bytes.LastIndexByte(m.Subject, '.')+1:]
	n, err := strconv.ParseUint(string(digits), numberBase, 64)
	return n, err == nil
}

// numberBase makes the numbers of answers short.
const numberBase = 36

// Status returns the status that the server sends instead of a message, "" for a message.
func (m *Arrival) Status() string {
	rest, ok := bytes.CutPrefix(m.Header, []byte("NATS/1.0 "))
	if !ok {
		return ""
	}
	status, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return string(status)
}

// Unstored reports whether a live copy is of a message that no stream holds, by its header.
func Unstored(header []byte) bool { return !bytes.Contains(header, []byte("\r\nNats-Sequence: ")) }

// DecodeLive reads a republished copy: the stored message, whose Data and Subject are not copied, and the sequence of the
// one before it on the same subject (0 when it is the first). The server's lines are the last of the header, behind those
// of whoever has published the message.
func DecodeLive(header, data []byte) (msg Stored, previous uint64, err error) {
	last := bytes.LastIndex(header, []byte("\r\nNats-Sequence: "))
	if last < 0 {
		return Stored{}, 0, errors.New("the copy of a message has no sequence")
	}
	own := header[last:]
	if msg.Seq, err = strconv.ParseUint(headerLine(own, "\r\nNats-Sequence: "), 10, 64); err != nil {
		return Stored{}, 0, fmt.Errorf("sequence of a stored message: %w", err)
	}
	if previous, err = strconv.ParseUint(headerLine(own, "\r\nNats-Last-Sequence: "), 10, 64); err != nil {
		return Stored{}, 0, fmt.Errorf("sequence before a stored message: %w", err)
	}
	if msg.Time, err = time.Parse(time.RFC3339Nano, headerLine(own, "\r\nNats-Time-Stamp: ")); err != nil {
		return Stored{}, 0, fmt.Errorf("time of a stored message: %w", err)
	}
	msg.Data = data
	return msg, previous, nil
}

// headerLine returns what follows name up to the end of its line, "" when there is no such line.
func headerLine(header []byte, name string) string {
	start := bytes.Index(header, []byte(name))
	if start < 0 {
		return ""
	}
	line, _, _ := bytes.Cut(header[start+len(name):], []byte("\r\n"))
	return string(line)
}
