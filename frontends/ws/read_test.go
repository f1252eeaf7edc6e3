package ws_test

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/frontends/ws"
)

func TestFragmentsWithControlFramesBetween(t *testing.T) {
	p := newEdge(t, edgeConfig{handle: echo}).dial(t)
	p.write(masked(0x01, "one \xe2\x82"))
	p.write(masked(0x89, "are you there?"))
	p.expect(0x8a, "are you there?")
	p.write(masked(0x00, ""))
	p.write(masked(0x8a, "unasked"))
	p.write(masked(0x80, "\xac three"))
	p.expect(0x81, "one € three")
	p.write(closing(ws.Normal, "bye"))
	if reason := p.expectClose(ws.Normal); reason != "bye" {
		t.Errorf("reason %q", reason)
	}
}

func TestFramesSentWithTheRequestAreRead(t *testing.T) {
	p := newEdge(t, edgeConfig{handle: echo}).dial(t, append(text("early"), text("bird")...)...)
	p.expect(0x81, "early")
	p.expect(0x81, "bird")
}

func TestMessageSizes(t *testing.T) {
	p := newEdge(t, edgeConfig{handle: echo}).dial(t)
	for _, tt := range []struct {
		size int
		want string // "" means the message itself
	}{
		{0, ""},
		{64 << 10, ""},
		{64<<10 + 1, "too big: 65537, kept 65536"},
		{1 << 20, "too big: 1048576, kept 65536"},
		{10, ""},
	} {
		msg := strings.Repeat("m", tt.size)
		p.write(text(msg))
		if tt.want == "" {
			tt.want = msg
		}
		p.expect(0x81, tt.want)
	}
	p.write(masked(0x01, strings.Repeat("f", 1000)))
	for range 70 {
		p.write(masked(0x00, strings.Repeat("f", 1000)))
	}
	p.write(masked(0x80, ""))
	p.expect(0x81, "too big: 71000, kept 65536")
	p.write(text(strings.Repeat("m", 1<<20+1)))
	p.expectClose(ws.TooBig)
}

func TestBinaryIsToldFromText(t *testing.T) {
	kinds := make(chan ws.Kind, 2)
	p := newEdge(t, edgeConfig{handle: func(c *ws.Conn) error {
		for {
			_, kind, err := c.ReadMessage()
			if err != nil {
				return err
			}
			kinds <- kind
		}
	}}).dial(t)
	p.write(masked(0x82, "\xff\xfe"))
	p.write(text("t"))
	if a, b := receive(t, kinds), receive(t, kinds); a != ws.Binary || b != ws.Text {
		t.Errorf("kinds %v, %v", a, b)
	}
}

func TestPendingSeesWhatWasReadAhead(t *testing.T) {
	pending := make(chan bool, 20)
	e := newEdge(t, edgeConfig{handle: func(c *ws.Conn) error {
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				return err
			}
			pending <- c.Pending()
		}
	}})
	e.dial(t, bytes.Repeat(text("x"), 20)...)
	for i := range 20 {
		if got, want := receive(t, pending), i < 19; got != want {
			t.Errorf("behind message %d: pending %t, want %t", i, got, want)
		}
	}
}

func TestBadPeersLearnWhatTheyDid(t *testing.T) {
	frames := func(f ...[]byte) []byte { return bytes.Join(f, nil) }
	for name, tt := range map[string]struct {
		send []byte
		code ws.Code
	}{
		"reserved bit 1":              {masked(0xc1, "x"), ws.ProtocolError},
		"reserved bit 2":              {masked(0xa1, "x"), ws.ProtocolError},
		"reserved bit 3":              {masked(0x91, "x"), ws.ProtocolError},
		"unknown data opcode":         {masked(0x83, "x"), ws.ProtocolError},
		"unknown control opcode":      {masked(0x8b, "x"), ws.ProtocolError},
		"unmasked":                    {[]byte("\x81\x01x"), ws.ProtocolError},
		"unmasked close":              {[]byte("\x88\x02\x03\xe8"), ws.ProtocolError},
		"length 2^63":                 {[]byte("\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00abcd"), ws.ProtocolError},
		"length 2^62, and the bytes":  {frames([]byte("\x81\xff\x40\x00\x00\x00\x00\x00\x00\x00abcd"), make([]byte, 2<<20)), ws.TooBig},
		"continuation of nothing":     {masked(0x80, "x"), ws.ProtocolError},
		"message within a message":    {frames(masked(0x01, "x"), masked(0x81, "y")), ws.ProtocolError},
		"ping in fragments":           {masked(0x09, "x"), ws.ProtocolError},
		"ping of 126 bytes":           {masked(0x89, strings.Repeat("x", 126)), ws.ProtocolError},
		"text that is not UTF-8":      {text("a\xffb"), ws.InvalidPayload},
		"text that ends in a rune":    {text("a\xe2\x82"), ws.InvalidPayload},
		"surrogates":                  {text("\xed\xa0\x80"), ws.InvalidPayload},
		"close with half a code":      {masked(0x88, "\x03"), ws.ProtocolError},
		"close 999":                   {closing(999, ""), ws.ProtocolError},
		"close 1004":                  {closing(1004, ""), ws.ProtocolError},
		"close 1005":                  {closing(1005, ""), ws.ProtocolError},
		"close 1006":                  {closing(1006, ""), ws.ProtocolError},
		"close 1015":                  {closing(1015, ""), ws.ProtocolError},
		"close 2999":                  {closing(2999, ""), ws.ProtocolError},
		"close 5000":                  {closing(5000, ""), ws.ProtocolError},
		"close reason not UTF-8":      {closing(1000, "\xff"), ws.InvalidPayload},
		"message over 1 MiB":          {frames(masked(0x01, strings.Repeat("x", 1<<20)), masked(0x80, "yz")), ws.TooBig},
		"message of empty fragments":  {frames(masked(0x01, ""), bytes.Repeat(masked(0x00, ""), 200_000)), ws.PolicyViolation},
		"more than 20 pings a second": {bytes.Repeat(masked(0x89, ""), 21), ws.PolicyViolation},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, edgeConfig{Config: ws.Config{Now: frozen()}})
			p := e.dial(t)
			if _, err := p.Write(tt.send); err != nil && tt.code == ws.ProtocolError {
				t.Fatal(err) // the others send more than the server waits for
			}
			p.expectClose(tt.code)
			why, ok := errors.AsType[*ws.CloseError](receive(t, e.ended))
			if !ok || why.Code != tt.code {
				t.Errorf("handler got %v, want code %d", why, tt.code)
			}
		})
	}
}

func TestGoodClosesAreAnswered(t *testing.T) {
	for _, code := range []ws.Code{1000, 1001, 1011, 3000, 4999} {
		e := newEdge(t, edgeConfig{})
		p := e.dial(t)
		p.write(closing(code, "because"))
		p.expectClose(code)
		why, ok := errors.AsType[*ws.CloseError](receive(t, e.ended))
		if !ok || why.Code != code || why.Reason != "because" || !why.ByPeer {
			t.Errorf("handler got %v", why)
		}
	}
	e := newEdge(t, edgeConfig{})
	p := e.dial(t)
	p.write(masked(0x88, ""))
	p.expectClose(ws.Normal)
	if why, ok := errors.AsType[*ws.CloseError](receive(t, e.ended)); !ok || why.Code != ws.NoStatus {
		t.Errorf("handler got %v", why)
	}
}

func TestPeerThatVanishes(t *testing.T) {
	e := newEdge(t, edgeConfig{})
	e.dial(t).Close()
	why, ok := errors.AsType[*ws.CloseError](receive(t, e.ended))
	if !ok || why.Code != ws.Abnormal || why.ByPeer || why.Err == nil {
		t.Errorf("handler got %v", why)
	}
}

// FuzzPeer lets a peer send anything: the connection ends without a panic, and whatever it was told is whole frames with
// nothing behind a close frame.
func FuzzPeer(f *testing.F) {
	f.Add(append(text("hello"), closing(ws.Normal, "bye")...))
	f.Add(append(masked(0x01, "a"), append(masked(0x89, "p"), masked(0x80, "b")...)...))
	f.Add([]byte("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xffmaskand"))
	f.Add([]byte("\xc1\x80abcd"))
	cfg := ws.Config{CloseWithin: time.Second, Now: frozen()}
	e := newEdge(f, edgeConfig{Config: cfg, handle: echo})
	library := newEdge(f, edgeConfig{Config: cfg, handle: echo, stays: true}) // answers pings by itself
	f.Fuzz(func(t *testing.T, stream []byte) {
		got, want := e.converse(t, stream), library.converse(t, stream)
		n := min(len(got), len(want)) // a reset may have come before the rest
		if !slices.Equal(got[:n], want[:n]) {
			t.Fatalf("the connection answered %q, the library %q", got, want)
		}
	})
}

// converse sends a stream to a connection of its own and returns the frames that come back.
func (e *edge) converse(t *testing.T, stream []byte) (frames []string) {
	p := e.dial(t)
	if _, err := p.Write(stream); err != nil {
		t.Log(err) // it has been closed before the end of the stream
	}
	_ = p.Conn.(*net.TCPConn).CloseWrite() // as above
	for closed := false; ; {
		first, payload, err := readFrame(p.r)
		if err != nil { // the end, or a reset as the stream may go on behind its end
			break
		}
		if closed || first != 0x81 && first != 0x88 && first != 0x8a {
			t.Fatalf("frame %#x, behind a close frame: %t", first, closed)
		}
		closed = first == 0x88
		frames = append(frames, string(first)+payload)
	}
	receive(t, e.conns)
	receive(t, e.ended)
	return frames
}
