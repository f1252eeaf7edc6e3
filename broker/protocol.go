package broker

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// The NATS client protocol, as far as a Link needs it: lines that end with CRLF, some of them with a payload behind.
//
//	INFO {…}                                  the server's first line, and later when something has changed
//	CONNECT {…}  PING  PONG                   both sides ping
//	SUB <subject> <sid>    UNSUB <sid>
//	PUB <subject> [reply] <bytes>             and as many bytes, and CRLF
//	HPUB <subject> [reply] <header> <bytes>   the same; so many of the bytes are the header
//	MSG <subject> <sid> [reply] <bytes>
//	HMSG <subject> <sid> [reply] <header> <bytes>
//	-ERR '…'

type op byte

const (
	opMsg op = iota + 1
	opPing
	opPong
	opErr
	opOther // INFO and +OK
)

// operation is one line from the server with its payload. Its slices point into the parsed bytes.
type operation struct {
	op      op
	text    []byte // of an error
	subject []byte
	sid     uint64
	reply   []byte
	header  []byte
	data    []byte
}

const (
	maxLine    = 32 << 10 // the server's INFO in a large cluster is the longest
	maxMessage = maxPayload + 64<<10
)

var (
	errLine    = errors.New("the server's line is too long")
	errMessage = errors.New("the server's message can't be read")
)

// nextOperation reads the first operation of b and how many bytes it has. It returns 0 when there is not all of it yet,
// and then how many bytes it needs at least.
func nextOperation(b []byte) (o operation, used, need int, err error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		if len(b) > maxLine {
			return o, 0, 0, errLine
		}
		return o, 0, len(b) + 1, nil
	}
	line := bytes.TrimSuffix(b[:end], []byte("\r"))
	used = end + 1
	verb, args, _ := bytes.Cut(line, []byte(" "))
	switch string(verb) {
	case "MSG", "HMSG":
		return payload(b, used, args, len(verb) == len("HMSG"))
	case "PING":
		o.op = opPing
	case "PONG":
		o.op = opPong
	case "-ERR":
		o.op, o.text = opErr, args
	default:
		o.op = opOther
	}
	return o, used, 0, nil
}

// payload reads the rest of a message whose line ends at start.
func payload(b []byte, start int, args []byte, hasHeader bool) (o operation, used, need int, err error) {
	var room [5][]byte
	fields := room[:0]
	for len(args) > 0 && len(fields) < len(room) {
		var field []byte
		field, args, _ = bytes.Cut(args, []byte(" "))
		fields = append(fields, field)
	}
	sizes := 1
	if hasHeader {
		sizes = 2
	}
	names := len(fields) - sizes
	if names < 2 || names > 3 || len(args) > 0 { // subject, sid and perhaps a reply
		return o, 0, 0, errMessage
	}
	sid, ok := number(fields[1])
	total, ok2 := number(fields[len(fields)-1])
	header := 0
	ok3 := true
	if hasHeader {
		header, ok3 = number(fields[len(fields)-2])
	}
	if !ok || !ok2 || !ok3 || header > total || total > maxMessage {
		return o, 0, 0, errMessage
	}
	if need = start + total + 2; len(b) < need {
		return o, 0, need, nil
	}
	if string(b[need-2:need]) != "\r\n" {
		return o, 0, 0, errMessage
	}
	o = operation{op: opMsg, subject: fields[0], sid: uint64(sid), data: b[start+header : start+total]}
	if names == 3 {
		o.reply = fields[2]
	}
	if hasHeader {
		o.header = b[start : start+header]
	}
	return o, need, 0, nil
}

// number reads a decimal number that fits an int.
func number(digits []byte) (n int, ok bool) {
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int(d-'0')
	}
	return n, true
}

// appendPublish appends a message for the server.
func appendPublish(b []byte, m Departure) []byte {
	var room [256]byte
	header, verb := m.header(room[:0]), "PUB "
	if len(header) > 0 {
		verb = "HPUB "
	}
	b = append(append(append(b, verb...), m.Subject...), ' ')
	if m.Inbox != "" {
		b = append(append(b, m.Inbox...), '.')
		b = append(strconv.AppendUint(b, m.Number, numberBase), ' ')
	}
	if len(header) > 0 {
		b = append(strconv.AppendInt(b, int64(len(header)), 10), ' ')
	}
	b = append(strconv.AppendInt(b, int64(len(header)+len(m.Data)), 10), "\r\n"...)
	return append(append(append(b, header...), m.Data...), "\r\n"...)
}

func appendSubscribe(b []byte, s *LinkSub) []byte {
	return fmt.Appendf(b, "SUB %s %d\r\n", s.subject, s.id)
}

func appendUnsubscribe(b []byte, s *LinkSub) []byte {
	return fmt.Appendf(b, "UNSUB %d\r\n", s.id)
}
