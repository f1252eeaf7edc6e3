package backup

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"parley/broker"
	"parley/internal/rawjson"
)

// line is a message as a file of messages holds it. What is not UTF-8 stands in base64 under the other name.
type line struct {
	Seq      uint64    `json:"seq"`
	Time     time.Time `json:"time"`
	Subject  string    `json:"subject"`
	Header   string    `json:"header,omitempty"` // as NATS writes it, with its line ends
	Header64 []byte    `json:"header64,omitempty"`
	Data     string    `json:"data,omitempty"`
	Data64   []byte    `json:"data64,omitempty"`
}

// appendLine writes what parseLine reads.
func appendLine(b []byte, m broker.RawMessage) []byte {
	b = strconv.AppendUint(append(b, `{"seq":`...), m.Seq, 10)
	b = m.Time.UTC().AppendFormat(append(b, `,"time":"`...), time.RFC3339Nano)
	b = rawjson.AppendString(append(b, `","subject":`...), m.Subject)
	b = appendBytes(b, "header", m.Header)
	b = appendBytes(b, "data", m.Data)
	return append(b, "}\n"...)
}

func appendBytes(b []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	b = append(append(b, `,"`...), name...)
	if utf8.Valid(value) {
		return rawjson.AppendString(append(b, `":`...), string(value))
	}
	b = base64.StdEncoding.AppendEncode(append(b, `64":"`...), value)
	return append(b, '"')
}

// parseLine reads a message, strictly: unknown members and such that occur twice are errors.
func parseLine(b []byte) (broker.RawMessage, error) {
	var l line
	if err := json.Unmarshal(b, &l, json.RejectUnknownMembers(true)); err != nil {
		return broker.RawMessage{}, fmt.Errorf("a line is no message: %w", err)
	}
	if l.Header != "" && l.Header64 != nil || l.Data != "" && l.Data64 != nil {
		return broker.RawMessage{}, errors.New("a line holds the same in two ways")
	}
	m := broker.RawMessage{Seq: l.Seq, Time: l.Time, Subject: l.Subject, Header: l.Header64, Data: l.Data64}
	if l.Header != "" {
		m.Header = []byte(l.Header)
	}
	if l.Data != "" {
		m.Data = []byte(l.Data)
	}
	return m, m.Check()
}
