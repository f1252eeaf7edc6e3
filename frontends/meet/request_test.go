package meet

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/fault"
	"parley/rooms"
)

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		text, verb, room, target, signal string
		code                             fault.Code
	}{
		{`{"type":"ping"}`, "ping", "", "", "", ""},
		{`{"type":"signal","room_id":"r","target_id":"t","signal":{"a": 1}}`, "signal", "r", "t", `{"a": 1}`, ""},
		{`{"type":"signal","payload":{"room_id":"in","target_id":"t","signal":[]},"room_id":"out"}`, "signal", "in", "t", `[]`, ""},
		{`{"type":"signal","payload":{"type":"ping","room_id":"r","target_id":"t","signal":"s"}}`, "signal", "r", "t", `"s"`, ""},
		{`{"type":"signal","room_id":"r","target_id":"t","signal":false}`, "signal", "r", "t", `false`, ""},
		{`{"payload":{"type":"ping"}}`, "", "", "", "", fault.InvalidFormat},
		{`{"type":"signal","room_id":7}`, "", "", "", "", fault.InvalidFormat},
		{`{"type":7}`, "", "", "", "", fault.InvalidFormat},
		{strings.Repeat("[", 60_000), "", "", "", "", fault.InvalidFormat},
	} {
		req, err := decode(nil, []byte(tt.text))
		if fault.CodeOf(err) != tt.code {
			t.Errorf("%.80s: %v", tt.text, err)
		}
		if err != nil {
			continue
		}
		if req.verb != tt.verb || req.room != tt.room {
			t.Errorf("%s: %q in %q", tt.text, req.verb, req.room)
		}
		if tt.verb == "signal" {
			if target, data, err := req.signal(); target != tt.target || string(data) != tt.signal {
				t.Errorf("%s: %q for %q, %v", tt.text, data, target, err)
			}
		}
	}
}

// FuzzDecode checks that no frame makes the dialect panic, nor echo more than ids, and that a signal passes as valid JSON.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"type":"join","room_id":"r","participant_name":"n","participant_id":"p","resume_token":"t","last_seq":7}`))
	f.Add([]byte(`{"type":"signal","payload":{"room_id":"r","target_id":"t","signal":{"sdp":"v=0\r\n"}}}`))
	f.Add([]byte(`{"type":"auth","token":"t"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		room, target := about(text)
		if len(room) > 128 || len(target) > 128 {
			t.Fatalf("echoes %d and %d bytes", len(room), len(target))
		}
		req, err := decode(nil, text)
		if err != nil {
			if code := fault.CodeOf(err); code != fault.InvalidFormat {
				t.Fatalf("code %s", code)
			}
			return
		}
		if req.verb == "" {
			t.Fatal("a frame without type")
		}
		_, _ = req.entry()
		if _, data, err := req.signal(); err == nil {
			frame := appendSignal(nil, &rooms.Notice{Kind: rooms.Signaled, Room: "r", Signal: data})
			payload := frame[2:]
			if len(payload) > 125 {
				payload = frame[4:]
			}
			if len(payload) <= 1<<16 && !jsontext.Value(payload).IsValid() {
				t.Fatalf("%q becomes %q", text, payload)
			}
		}
	})
}
