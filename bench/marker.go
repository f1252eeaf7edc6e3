package bench

import (
	"bytes"
	"time"
)

// marker is what a message's content begins with.
type marker struct {
	stream, number uint32
	micros         uint32 // when it was sent, since the run began
}

const (
	streamDigits = 6
	numberDigits = 8
	timeDigits   = 8
	nameLen      = streamDigits + 1 + numberDigits // also the id of the message
	markerLen    = 1 + nameLen + 1 + timeDigits

	// maxRun is how long the time in a marker reaches.
	maxRun = time.Hour
)

// contentStart is what stands before a marker in a message as clients receive it.
var contentStart = []byte(`"content":"~`)

// findMarker returns the offset of the marker's name in a received message, -1 if there is none. Messages of a run look
// alike, so guess, the offset in the one before, is nearly always right.
func findMarker(payload []byte, guess int) int {
	if at := guess - len(contentStart); at >= 0 && guess+markerLen <= len(payload) && bytes.Equal(payload[at:guess], contentStart) {
		return guess
	}
	at := bytes.Index(payload, contentStart)
	if at < 0 || at+len(contentStart)+markerLen > len(payload) {
		return -1
	}
	return at + len(contentStart)
}

// readMarker reads the marker whose name begins b.
func readMarker(b []byte) (m marker, ok bool) {
	m.stream, m.number, ok = readName(b)
	micros, good := readHex(b[nameLen+1 : nameLen+1+timeDigits])
	m.micros = micros
	return m, ok && good
}

// readName reads the stream and the number that b begins with.
func readName(b []byte) (stream, number uint32, ok bool) {
	if len(b) < nameLen {
		return 0, 0, false
	}
	stream, ok = readHex(b[:streamDigits])
	number, good := readHex(b[streamDigits+1 : nameLen])
	return stream, number, ok && good && b[streamDigits] == '-'
}

func readHex(b []byte) (uint32, bool) {
	var v uint32
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint32(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint32(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

const hexDigits = "0123456789abcdef"

// putHex overwrites b with v.
func putHex(b []byte, v uint32) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = hexDigits[v&15]
		v >>= 4
	}
}
