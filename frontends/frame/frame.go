// Package frame reads the JSON objects that clients of all dialects send, one in each text message, and says in the same
// words what is wrong with them.
package frame

import (
	"errors"
	"io"
	"slices"
	"unicode"
	"unicode/utf8"

	"parley/internal/fault"
	"parley/internal/rawjson"
)

// Fields are the members of a frame, as they were written. They alias the text of the frame.
type Fields []rawjson.Member

// Read returns the fields of a frame, which it appends to room. Errors are fault.InvalidFormat, and come with the fields
// before the place that is wrong.
func Read(room Fields, text []byte) (Fields, error) {
	members, err := rawjson.Object(room, text)
	switch {
	case err == nil:
		return members, nil
	case errors.Is(err, rawjson.ErrNotObject):
		return members, fault.New(fault.InvalidFormat, "A frame is a JSON object.")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return members, fault.New(fault.InvalidFormat, "The frame ends in the middle of its JSON.")
	}
	return members, fault.Wrap(fault.InvalidFormat, err, "The frame is not valid JSON.").
		WithFix("Send one JSON object a frame, without duplicate names.")
}

// ReadEnvelope is Read for a frame whose fields may stand in an object of the name payload, and count as if they stood
// outside, before those that do. Only what a frame is must stand outside.
func ReadEnvelope(room Fields, text []byte) (Fields, error) {
	outer, err := Read(room, text)
	if err != nil {
		return outer, err
	}
	payload, ok := outer.Get("payload")
	if !ok {
		return outer, nil
	}
	if payload.Value.Kind() != '{' {
		return outer, fault.New(fault.InvalidFormat, "The payload is not an object.")
	}
	inner, err := Read(nil, payload.Value)
	if err != nil {
		return outer, err
	}
	inner = slices.DeleteFunc(inner, func(m rawjson.Member) bool { return m.Name == "type" })
	return append(inner, outer...), nil
}

// Get returns a field, and whether it says something: null counts as nothing.
func (f Fields) Get(name string) (rawjson.Member, bool) {
	for _, m := range f {
		if m.Name == name {
			return m, m.Value.Kind() != 'n'
		}
	}
	return rawjson.Member{}, false
}

// Text returns a string, and whether the field is there. null is no string: who meant to name somebody and has nobody at
// hand must not reach everybody instead.
func (f Fields) Text(name string) (string, bool, error) {
	m, _ := f.Get(name)
	if m.Name == "" {
		return "", false, nil
	}
	s, isString := m.String()
	if !isString {
		return "", true, fault.New(fault.InvalidFormat, "%q is not a string.", name)
	}
	return s, true, nil
}

// Optional is Text for a field that may as well be null; it returns "" then.
func (f Fields) Optional(name string) (string, error) {
	if _, ok := f.Get(name); !ok {
		return "", nil
	}
	s, _, err := f.Text(name)
	return s, err
}

// Required is Text for a field that has to be there and to say something.
func (f Fields) Required(name string) (string, error) {
	s, ok, err := f.Text(name)
	if err == nil && (!ok || s == "") {
		return "", fault.New(fault.InvalidFormat, "The frame has no %s.", name)
	}
	return s, err
}

// Printable reports whether s can be shown on one line.
func Printable(s string) bool {
	for _, c := range s {
		if ' ' <= c && c <= '~' {
			continue
		}
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}

// maxIDBytes is the longest id that a client may give something.
const maxIDBytes = 128

// MessageID returns an id that the client gave what it sends, "" when there is none. Errors are fault.InvalidFormat and
// InvalidID.
func (f Fields) MessageID(name string) (string, error) {
	s, ok, err := f.Text(name)
	if err == nil && ok && (s == "" || len(s) > maxIDBytes || !Printable(s)) {
		return "", fault.New(fault.InvalidID, "%s is 1 to %d bytes of printable text.", name, maxIDBytes)
	}
	return s, err
}

// Object returns a copy of a field that is an object, nil when it is null or not there.
func (f Fields) Object(name string) ([]byte, error) {
	m, ok := f.Get(name)
	if !ok {
		return nil, nil
	}
	if m.Value.Kind() != '{' {
		return nil, fault.New(fault.InvalidFormat, "%q is not an object.", name)
	}
	return m.Value.Clone(), nil
}
