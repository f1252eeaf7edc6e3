package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// wireFrame is one WebSocket frame. The payload lies in the buffer that it was read from.
type wireFrame struct {
	first   byte // FIN, and the kind
	payload []byte
}

const (
	textFrame  = 0x81
	closeFrame = 0x88
	pingFrame  = 0x89
	pongFrame  = 0x8a
)

var errBadFrame = errors.New("what the broker sent is no WebSocket frame")

// parseFrame reads the frame that b begins with, and how long it is: 0 when it is not whole yet. A client's frame is
// masked, with zeros.
func parseFrame(b []byte, masked bool) (f wireFrame, length int, err error) {
	if len(b) < 2 {
		return f, 0, nil
	}
	if b[1]&0x80 != 0 != masked || b[0]&0x70 != 0 {
		return f, 0, errBadFrame
	}
	size, head := int(b[1]&0x7f), 2
	switch size {
	case 126:
		if head = 4; len(b) < head {
			return f, 0, nil
		}
		size = int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if head = 10; len(b) < head {
			return f, 0, nil
		}
		if size = int(binary.BigEndian.Uint32(b[6:])); size < 0 || binary.BigEndian.Uint32(b[2:]) != 0 {
			return f, 0, errBadFrame
		}
	}
	if masked {
		head += 4
	}
	if head+size > bufferBytes {
		return f, 0, errBadFrame // nothing that this package asks for is as long
	}
	if len(b) < head+size {
		return f, 0, nil
	}
	return wireFrame{b[0], b[head : head+size]}, head + size, nil
}

// closedBy is the reason that a close frame gives.
func closedBy(payload []byte) error {
	if len(payload) < 2 {
		return errors.New("the broker closed the connection")
	}
	return fmt.Errorf("the broker closed the connection: %d %s", binary.BigEndian.Uint16(payload), payload[2:])
}

// receiver is what a link hands its messages to, from one goroutine. None of its methods may wait.
type receiver interface {
	message(m marker, payload []byte)   // a message of a stream
	acknowledged(stream, number uint32) // an ACK of a message
	other(payload []byte)               // anything else: an ERROR, a GAP
	settle()                            // everything that one read has brought was handed over
}

var (
	ackStart  = []byte(`{"type":"ACK","message_id":"`) // how the broker writes it
	ackAnyhow = []byte(`"type":"ACK"`)                 // how another version may
	idStart   = []byte(`"message_id":"`)
	readyID   = []byte("ready")
)

// reader splits what a connection brings into messages.
type reader struct {
	to    receiver
	guess int    // where the marker was in the last message
	rest  []byte // the beginning of a frame that is not whole yet
	ready func() // called at the ACK of the frame "ready"
	pong  func(payload []byte)
}

// consume takes the frames in b, and keeps what is left of them.
func (r *reader) consume(b []byte) error {
	for {
		f, n, err := parseFrame(b, false)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		switch f.first {
		case textFrame:
			r.text(f.payload)
		case pingFrame:
			r.pong(f.payload)
		case closeFrame:
			return closedBy(f.payload)
		default:
			return errBadFrame
		}
		b = b[n:]
	}
	r.rest = append(r.rest[:0], b...)
	r.to.settle()
	return nil
}

func (r *reader) text(payload []byte) {
	if bytes.HasPrefix(payload, ackStart) {
		r.ack(payload, payload[len(ackStart):])
		return
	}
	if at := findMarker(payload, r.guess); at >= 0 {
		if m, ok := readMarker(payload[at:]); ok {
			r.guess = at
			r.to.message(m, payload)
			return
		}
	}
	if at := bytes.Index(payload, idStart); at >= 0 && bytes.Contains(payload, ackAnyhow) {
		r.ack(payload, payload[at+len(idStart):])
		return
	}
	r.to.other(payload)
}

func (r *reader) ack(payload, id []byte) {
	switch stream, number, ok := readName(id); {
	case ok:
		r.to.acknowledged(stream, number)
	case bytes.HasPrefix(id, readyID):
		r.ready()
	default:
		r.to.other(payload)
	}
}

var seqStart = []byte(`"seq":`)

// seqOf returns the sequence under which the broker has stored a message, 0 if it does not say.
func seqOf(payload []byte) uint64 {
	at := bytes.Index(payload, seqStart)
	if at < 0 {
		return 0
	}
	seq := uint64(0)
	for _, c := range payload[at+len(seqStart):] {
		if c < '0' || c > '9' {
			break
		}
		seq = seq*10 + uint64(c-'0')
	}
	return seq
}
