package rig

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// Frame is a JSON object on the wire.
type Frame map[string]any

// Text returns the field as a string, "" if it is none.
func (f Frame) Text(field string) string {
	s, _ := f[field].(string)
	return s
}

// Type returns the field type.
func (f Frame) Type() string { return f.Text("type") }

// ID returns the field id.
func (f Frame) ID() string { return f.Text("id") }

// Seq returns the field seq, 0 if there is none.
func (f Frame) Seq() uint64 {
	n, _ := f["seq"].(float64)
	return uint64(n)
}

// Time returns the field timestamp, which must be RFC 3339 in UTC with milliseconds and a Z.
func (f Frame) Time(t testing.TB) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05.000Z", f.Text("timestamp"))
	if err != nil {
		t.Errorf("timestamp of %s: %v", f, err)
	}
	return at
}

// Answer reports whether f answers a frame of the client's.
func (f Frame) Answer() bool { return f.Type() == "ACK" || f.Type() == "ERROR" }

// String returns f as JSON.
func (f Frame) String() string {
	b, err := json.Marshal(map[string]any(f))
	if err != nil {
		return fmt.Sprint(map[string]any(f))
	}
	return string(b)
}
