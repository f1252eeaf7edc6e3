package rawjson

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxScanned bounds the members that scan compares the names of.
const maxScanned = 32

// scan is Object for text as nearly all of it is, which it validates and splits in one pass. It reports false for what has
// to be looked at more closely, and may be valid nevertheless: an escape in a name, \u in a string, many members.
func scan(dst []Member, text []byte) ([]Member, bool) {
	s := scanner{text: text}
	s.space()
	if !s.next('{') {
		return dst, false
	}
	first := len(dst)
	s.space()
	for more := !s.next('}'); more; {
		name, ok := s.name()
		if s.space(); !ok || !s.next(':') {
			return dst, false
		}
		s.space()
		from := s.at
		if len(dst)-first == maxScanned || named(dst[first:], name) || !s.value() {
			return dst, false
		}
		dst = append(dst, Member{name, jsontext.Value(text[from:s.at])})
		s.space()
		if more = s.next(','); more {
			s.space()
		} else if !s.next('}') {
			return dst, false
		}
	}
	s.space()
	return dst, s.at == len(text)
}

func named(members []Member, name string) bool {
	for i := range members {
		if members[i].Name == name {
			return true
		}
	}
	return false
}

type scanner struct {
	text []byte
	at   int // how much of text was read
}

// next reads one byte if it is b.
func (s *scanner) next(b byte) bool {
	if s.at < len(s.text) && s.text[s.at] == b {
		s.at++
		return true
	}
	return false
}

func (s *scanner) space() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\t' || s.text[s.at] == '\n' || s.text[s.at] == '\r') {
		s.at++
	}
}

// name reads a string that has no escapes.
func (s *scanner) name() (string, bool) {
	from := s.at
	if escapes, ok := s.str(); !ok || escapes {
		return "", false
	}
	return nameOf(s.text[from:s.at]), true
}

// value reads any value.
func (s *scanner) value() bool {
	if s.at == len(s.text) {
		return false
	}
	switch s.text[s.at] {
	case '"':
		_, ok := s.str()
		return ok
	case '{', '[':
		from := s.at
		s.at = s.compositeEnd()
		return jsontext.Value(s.text[from:s.at]).IsValid()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

func (s *scanner) word(w string) bool {
	if len(s.text)-s.at < len(w) || string(s.text[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) number() bool {
	s.next('-')
	if !s.next('0') && !s.digits() {
		return false
	}
	if s.next('.') && !s.digits() {
		return false
	}
	if s.next('e') || s.next('E') {
		if !s.next('+') {
			s.next('-')
		}
		return s.digits()
	}
	return true
}

// digits reads one digit at least.
func (s *scanner) digits() bool {
	from := s.at
	for s.at < len(s.text) && '0' <= s.text[s.at] && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at > from
}

// str reads a string, and reports whether it has escapes.
func (s *scanner) str() (escapes, ok bool) {
	if !s.next('"') {
		return false, false
	}
	from, ascii := s.at, true
	for {
		s.at += plainBytes(s.text[s.at:])
		if s.at == len(s.text) {
			return escapes, false
		}
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return escapes, ascii || utf8.Valid(s.text[from:s.at-1])
		case c == '\\':
			if escapes = true; !s.escape() {
				return escapes, false
			}
		case c < utf8.RuneSelf: // a control character
			return escapes, false
		default:
			ascii = false
			for s.at < len(s.text) && s.text[s.at] >= utf8.RuneSelf {
				s.at++
			}
		}
	}
}

// escape reads a backslash and what it escapes.
func (s *scanner) escape() bool {
	if len(s.text)-s.at < 2 {
		return false
	}
	switch s.text[s.at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at += 2
		return true
	}
	return false
}

// compositeEnd returns where what begins with a bracket seems to end.
func (s *scanner) compositeEnd() int {
	depth, quoted := 0, false
	for i := s.at; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s.text)
}

// plainBytes returns how many bytes at the beginning of b are printable ASCII other than the quote and the backslash.
func plainBytes(b []byte) (n int) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; len(b)-n >= 8; n += 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		quote, backslash := x^'"'*ones, x^'\\'*ones
		// The top bit of a byte is set for one that is not plain; those behind the first such byte may be wrong.
		if odd := (x | (x - ' '*ones) | (quote - ones) | (backslash - ones)) & tops; odd != 0 {
			return n + bits.TrailingZeros64(odd)/8
		}
	}
	for n < len(b) && b[n] >= ' ' && b[n] < utf8.RuneSelf && b[n] != '"' && b[n] != '\\' {
		n++
	}
	return n
}
