package bots

import (
	"strings"
	"testing"

	"parley/internal/fault"
)

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		text, verb, session, content string
		code                         fault.Code
	}{
		{`{"type":"ping"}`, "ping", "", "", ""},
		{`{"type":"message","session_id":"s","content":"c"}`, "message", "s", "c", ""},
		{`{"type":"message","payload":{"session_id":"s","content":"c"},"timestamp":"t"}`, "message", "s", "c", ""},
		{`{"type":"message","session_id":"out","payload":{"session_id":"in","content":"c"}}`, "message", "in", "c", ""},
		{`{"type":"message","session_id":"out","payload":{"content":"c"}}`, "message", "out", "c", ""},
		{`{"type":"message","payload":{"type":"ping","content":"c"}}`, "message", "", "c", ""},
		{`{"type":"message","session_id":null,"payload":null,"content":"c"}`, "message", "", "c", ""},
		{`{"payload":{"type":"ping"}}`, "", "", "", fault.InvalidFormat},
		{`{"type":"message","payload":{"a":1,"a":2}}`, "", "", "", fault.InvalidFormat},
		{`{"type":"message","payload":"{}"}`, "", "", "", fault.InvalidFormat},
		{`{"type":null}`, "", "", "", fault.InvalidFormat},
		{`{"type":"message","session_id":7}`, "message", "", "", fault.InvalidFormat},
		{strings.Repeat("[", 60_000), "", "", "", fault.InvalidFormat},
	} {
		req, err := decode([]byte(tt.text))
		content, _ := req.fields.Optional("content")
		if fault.CodeOf(err) != tt.code || req.verb != tt.verb || req.session != tt.session || err == nil && content != tt.content {
			t.Errorf("%.80s: %q %q %q, %v", tt.text, req.verb, req.session, content, err)
		}
	}
}

// FuzzDecode checks that no frame makes the dialect panic, nor echo more than an id.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"type":"message","session_id":"s","content":"c","metadata":{"a":1},"message_id":"m"}`))
	f.Add([]byte(`{"type":"message","payload":{"session_id":"s","content":"c"}}`))
	f.Add([]byte(`{"type":"auth","token":"t"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		session, id := about(text)
		if len(session) > 128 || len(id) > 128 {
			t.Fatalf("echoes %d and %d bytes", len(session), len(id))
		}
		req, err := decode(text)
		if err != nil {
			if code := fault.CodeOf(err); code != fault.InvalidFormat {
				t.Fatalf("code %s", code)
			}
			return
		}
		if req.verb == "" {
			t.Fatal("a frame without type")
		}
		if u, err := req.utterance(); err == nil && u.Text == "" {
			t.Fatal("an utterance without text")
		}
		_, _ = req.spec()
	})
}
