// Package rawjson takes JSON objects apart by their outermost names and leaves the values as they are, so that what the
// broker does not understand passes through it untouched.
package rawjson

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrNotObject says that the text is JSON, but not an object.
var ErrNotObject = errors.New("not a JSON object")

// A Member is one name of an object with its value as it was written. Value aliases the scanned text.
type Member struct {
	Name  string
	Value jsontext.Value
}

// String returns the value as a string, and whether it is one.
func (m Member) String() (string, bool) {
	if m.Value.Kind() != '"' {
		return "", false
	}
	if plain, ok := m.Plain(); ok {
		return string(plain), true
	}
	b, err := jsontext.AppendUnquote(nil, m.Value)
	return string(b), err == nil
}

// Is reports whether the value is the string s.
func (m Member) Is(s string) bool {
	if plain, ok := m.Plain(); ok {
		return string(plain) == s // does not allocate
	}
	t, ok := m.String()
	return ok && t == s
}

// Plain returns what is between the quotes of a string, and false for one with escapes and for everything else.
func (m Member) Plain() ([]byte, bool) {
	n := len(m.Value)
	if n < 2 || m.Value[0] != '"' || bytes.IndexByte(m.Value, '\\') >= 0 {
		return nil, false
	}
	return m.Value[1 : n-1], true
}

// decoders are reused: a fresh one costs more than most messages.
var decoders = sync.Pool{New: func() any { return new(decoder) }}

type decoder struct {
	input bytes.Reader
	json  jsontext.Decoder
}

// Object appends the members of the object that text holds to dst, in their order. It is strict: names must be unique,
// text valid UTF-8, and nothing may follow the object. On an error it returns the members before the fault.
func Object(dst []Member, text []byte) ([]Member, error) {
	if members, ok := scan(dst, text); ok {
		return members, nil
	}
	if !jsontext.Value(text).IsValid() {
		return slowly(dst, text)
	}
	return split(dst, text)
}

// slowly reads an object token by token, to find out what is wrong with it and where.
func slowly(dst []Member, text []byte) ([]Member, error) {
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	d.input.Reset(text)
	d.json.Reset(&d.input)
	open, err := d.json.ReadToken()
	if err != nil {
		return dst, err
	}
	if open.Kind() != '{' {
		if err := d.finish(); err != nil {
			return dst, err
		}
		return dst, ErrNotObject
	}
	for d.json.PeekKind() != '}' {
		name, err := d.json.ReadToken()
		if err != nil {
			return dst, err
		}
		m := Member{Name: name.String()}
		value, err := d.json.ReadValue()
		if err != nil {
			return dst, err
		}
		end := int(d.json.InputOffset())
		m.Value = text[end-len(value) : end]
		dst = append(dst, m)
	}
	return dst, d.finish()
}

// finish reads what is left of the value, and wants nothing behind it.
func (d *decoder) finish() error {
	for d.json.StackDepth() > 0 {
		if _, err := d.json.ReadToken(); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		err = errors.New("data after the JSON value")
	}
	return err
}

// AppendString appends s as a JSON string. Invalid UTF-8 is replaced.
func AppendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // the only error is invalid UTF-8, which it replaces
	return dst
}
