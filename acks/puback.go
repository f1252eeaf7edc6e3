package acks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"parley/broker"
	"parley/internal/fault"
)

// JetStream's codes, from the server's list of errors. The first ones are for a store that has no room left.
const (
	codeAccountResources = 10002
	codeStorageResources = 10047
	codeMemoryResources  = 10028
	codeStoreFailed      = 10077 // maximum messages or bytes of a stream that discards new ones
	codeNotLast          = 10071 // wrong last sequence
)

// codeUnderWay is the answer to a repetition of what a stream is just storing.
const codeUnderWay = 10158

var (
	// errUnderWay is the cause of an outcome that the stream does not know yet.
	errUnderWay = errors.New("the stream is just storing a message with this id")
	// errNobody is the cause of a failure that is certain: the stream has no leader to store anything.
	errNobody = errors.New("nobody listens for the stream")
)

// parsePubAck reads the stream's answer.
func parsePubAck(m *broker.Arrival) Outcome {
	if m.Status() != "" { // 503, "no responders"
		return Outcome{Err: fault.Wrap(fault.Unavailable, errNobody, "The message was not stored: the store can't be reached now.")}
	}
	if o, ok := scanPubAck(m.Data); ok {
		return o
	}
	var ack struct {
		Seq       uint64 `json:"seq"`
		Duplicate bool   `json:"duplicate"`
		Error     *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return Outcome{Err: unknown(fmt.Errorf("read the stream's answer: %w", err))}
	}
	if ack.Error == nil {
		return Outcome{Seq: ack.Seq, Duplicate: ack.Duplicate}
	}
	if ack.Error.Code == codeUnderWay {
		return Outcome{Err: unknown(errUnderWay)}
	}
	cause := fmt.Errorf("the stream refused: %s (%d)", ack.Error.Description, ack.Error.Code)
	switch ack.Error.Code {
	case codeAccountResources, codeStorageResources, codeMemoryResources, codeStoreFailed:
		return Outcome{Err: fault.Wrap(fault.StorageFull, cause, "The message was not stored: the tenant's storage is full.")}
	case codeNotLast:
		return Outcome{Err: fault.Wrap(fault.Unavailable, fmt.Errorf("%w: %s", ErrNotLast, ack.Error.Description), "The message was not stored: somebody else was faster.")}
	}
	return Outcome{Err: fault.Wrap(fault.Unavailable, cause, "The message was not stored: the store refused it.")}
}

// scanPubAck reads an answer as the server writes it when it has stored the message: {"stream":"X", "seq":7} and perhaps
// ,"duplicate": true behind that, with or without spaces. It reports false for every other text, which is left to a parser.
func scanPubAck(text []byte) (o Outcome, ok bool) {
	rest, ok := cut(text, `{"stream":"`)
	if !ok {
		return o, false
	}
	end := bytes.IndexByte(rest, '"') // a stream's name has no escapes
	if end < 0 {
		return o, false
	}
	if rest, ok = cut(rest[end+1:], `,`); !ok {
		return o, false
	}
	if rest, ok = cut(rest, `"seq":`); !ok {
		return o, false
	}
	digits := 0
	for ; digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9'; digits++ {
		o.Seq = o.Seq*10 + uint64(rest[digits]-'0')
	}
	if digits == 0 || digits > maxDigits {
		return o, false
	}
	rest = rest[digits:]
	if more, ok := cut(rest, `,`); ok {
		if more, ok = cut(more, `"duplicate":`); ok {
			rest, o.Duplicate = cut(more, `true`)
		}
	}
	return o, string(rest) == "}"
}

// maxDigits are as many as no uint64 overflows with.
const maxDigits = 19

// cut takes a prefix off the text, and the spaces behind it.
func cut(text []byte, prefix string) (rest []byte, ok bool) {
	if len(text) < len(prefix) || string(text[:len(prefix)]) != prefix {
		return text, false
	}
	return bytes.TrimLeft(text[len(prefix):], " "), true
}
