package bench

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// template is the frame of a stream's messages, in which only a few digits differ from one to the next.
type template struct {
	frame        []byte
	id, name, at int // offsets of the number in the id, of the number in the marker, and of the time
}

// newTemplate returns the frame for messages of a stream with size bytes of content.
func newTemplate(stream uint32, channel string, size int) template {
	name := fmt.Sprintf("%0*x-%0*x", streamDigits, stream, numberDigits, 0)
	head := `{"id":"` + name + `","type":"message","channel_id":"` + channel + `","content":"~`
	payload := head + name + "-" + strings.Repeat("0", timeDigits) + strings.Repeat("x", max(0, size-markerLen)) + `"}`
	frame := appendFrame(nil, 0x81, payload)
	start := len(frame) - len(payload)
	return template{
		frame: frame,
		id:    start + len(`{"id":"`) + streamDigits + 1,
		name:  start + len(head) + streamDigits + 1,
		at:    start + len(head) + nameLen + 1,
	}
}

// append appends the frame of one message.
func (t *template) append(b []byte, number, micros uint32) []byte {
	start := len(b)
	b = append(b, t.frame...)
	f := b[start:]
	putHex(f[t.id:t.id+numberDigits], number)
	putHex(f[t.name:t.name+numberDigits], number)
	putHex(f[t.at:t.at+timeDigits], micros)
	return b
}

// appendFrame appends a client's frame. Its mask is zero, which the protocol allows: it costs the server the same, and
// the client nothing.
func appendFrame(b []byte, first byte, payload string) []byte {
	switch n := len(payload); {
	case n < 126:
		b = append(b, first, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, first, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, 0x80|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}
