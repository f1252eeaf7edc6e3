package tenantchat

import (
	"strings"
	"testing"

	"parley/internal/fault"
)

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		text, verb, said, metadata, id, reason string
		code                                   fault.Code
	}{
		{`{"content":"a"}`, "", "a", "", "", "", ""},
		{`{"type":"message","content":"a"}`, "", "a", "", "", "", ""},
		{`{"event_type":"message","content":"a"}`, "", "a", "", "", "", ""},
		{`{"content":"a","metadata":{"k": 1},"message_id":"m","other":[1]}`, "", "a", `{"k": 1}`, "m", "", ""},
		{`{"content":"a","metadata":null,"type":null}`, "", "a", "", "", "", ""},
		{`{"type":"stop"}`, "stop", "", "", "", "", ""},
		{`{"event_type":"ping"}`, "ping", "", "", "", "", ""},
		{`{"type":"human-escalation","reason":"r"}`, "human-escalation", "", "", "", "r", ""},
		{`{"type":"human-escalation","message":"r"}`, "human-escalation", "", "", "", "r", ""},
		{`{"type":"human-escalation"}`, "human-escalation", "", "", "", "", ""},
		{`{"type":"dance","content":"a"}`, "dance", "", "", "", "", fault.UnknownType},
		{`{"content":["a"]}`, "", "", "", "", "", fault.InvalidFormat},
		{`{"content":"a"`, "", "", "", "", "", fault.InvalidFormat},
		{strings.Repeat("[", 60_000), "", "", "", "", "", fault.InvalidFormat},
	} {
		req, err := decode([]byte(tt.text))
		if fault.CodeOf(err) != tt.code || req.verb != tt.verb || req.said.Text != tt.said || string(req.said.Metadata) != tt.metadata ||
			req.said.ID != tt.id || req.reason != tt.reason {
			t.Errorf("%.80s: %+v, %v", tt.text, req, err)
		}
	}
}

// TestErrorsSayWhatToDo looks at what a client is told of every code there is.
func TestErrorsSayWhatToDo(t *testing.T) {
	for _, code := range []fault.Code{
		fault.Internal, fault.InvalidFormat, fault.UnknownType, fault.InvalidID, fault.MessageTooLarge, fault.AuthRequired, fault.AuthFailed,
		fault.TokenExpired, fault.PermissionDenied, fault.TenantSuspended, fault.NotFound, fault.LimitExceeded, fault.RateLimited,
		fault.OutcomeUnknown, fault.Unavailable, fault.Draining, "SOMETHING_NEW",
	} {
		if f := errorEvent(noon, fault.New(code, "No.")); f.Details.Fix == "" || f.Event != "error" || f.Timestamp == "" || f.Code == "" {
			t.Errorf("%s: %+v", code, f)
		}
	}
}

// FuzzDecode checks that no frame makes the dialect panic, nor echo more than an id.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"content":"a","metadata":{"k":1},"message_id":"m"}`))
	f.Add([]byte(`{"type":"human-escalation","reason":"r"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if id := idOf(text); len(id) > 128 {
			t.Fatalf("echoes %d bytes", len(id))
		}
		req, err := decode(text)
		switch code := fault.CodeOf(err); code {
		case "":
			if req.verb == "" && req.said.Text == "" {
				t.Fatal("an utterance without text")
			}
		case fault.InvalidFormat, fault.InvalidID, fault.UnknownType:
		default:
			t.Fatalf("code %s", code)
		}
	})
}
