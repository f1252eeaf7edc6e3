package ws_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"parley/frontends/ws"
)

func TestFrameLenIsWhatAppendTextAdds(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20} {
		got := ws.AppendText([]byte("before"), []byte(strings.Repeat("x", n)))
		if want := len("before") + ws.FrameLen(n); len(got) != want {
			t.Errorf("payload of %d: %d bytes, want %d", n, len(got), want)
		}
	}
}

// FuzzFrame reads what we encode with a parser of its own, written from RFC 6455, section 5.2.
func FuzzFrame(f *testing.F) {
	f.Add([]byte(nil), []byte("{}"))
	f.Add([]byte("{}"), bytes.Repeat([]byte("a"), 126))
	f.Add(bytes.Repeat([]byte("b"), 65535), bytes.Repeat([]byte("c"), 65536))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		stream := ws.AppendText(ws.AppendText(nil, a), b)
		for _, want := range [][]byte{a, b} {
			got, rest := parseFrame(t, stream)
			if got.first != 0x81 || got.masked || !bytes.Equal(got.payload, want) {
				t.Fatalf("read first byte %#x, masked %t, %d bytes of payload; want 0x81, false, %d", got.first, got.masked, len(got.payload), len(want))
			}
			stream = rest
		}
		if len(stream) != 0 {
			t.Fatalf("%d bytes left over", len(stream))
		}
	})
}

type frame struct {
	first   byte
	masked  bool
	payload []byte
}

// parseFrame takes one frame off the front of b. It insists on the shortest form of the length.
func parseFrame(t testing.TB, b []byte) (frame, []byte) {
	t.Helper()
	if len(b) < 2 {
		t.Fatalf("header of %d bytes", len(b))
	}
	f := frame{first: b[0], masked: b[1]&0x80 != 0}
	n, b := uint64(b[1]&0x7f), b[2:]
	switch n {
	case 126, 127:
		width, least := 2, uint64(126)
		if n == 127 {
			width, least = 8, 1<<16
		}
		var wide [8]byte
		copy(wide[8-width:], b[:width])
		if n = binary.BigEndian.Uint64(wide[:]); n < least {
			t.Fatalf("length %d in %d bytes", n, width)
		}
		b = b[width:]
	}
	if uint64(len(b)) < n {
		t.Fatalf("frame of %d bytes, but only %d are there", n, len(b))
	}
	f.payload = b[:n]
	return f, b[n:]
}

func TestAppendTextFunc(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 1<<16 - 1, 1 << 16} {
		payload := bytes.Repeat([]byte("ab"), n)[:n]
		got := ws.AppendTextFunc([]byte("before"), func(dst []byte) []byte { return append(dst, payload...) })
		if want := ws.AppendText([]byte("before"), payload); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: another frame than AppendText's", n)
		}
	}
}
