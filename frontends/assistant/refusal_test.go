package assistant

import (
	"encoding/json"
	"strings"
	"testing"

	"parley/internal/fault"
)

// FuzzRefusal checks that whatever a client has sent, it is told in a last frame what was wrong, and nothing but its own
// ids is echoed.
func FuzzRefusal(f *testing.F) {
	f.Add([]byte(`{"type":"conversation_with_aileen","message":"m","conversation_id":"c","request_id":"r"}`))
	f.Add([]byte(`{"type":"conversation_with_` + strings.Repeat("x", 300) + `","conversation_id":"a.b"}`))
	f.Add([]byte(`{"type":7,"request_id":{"a":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var told struct {
			Type     string
			Response struct {
				Final bool   `json:"is_final"`
				ID    string `json:"request_id"`
			}
		}
		reply := new(client).Refusal(text, fault.New(fault.UnknownType, "There is no such message type."))
		if err := json.Unmarshal(reply, &told); err != nil {
			t.Fatalf("%v: %s", err, reply)
		}
		if !strings.HasPrefix(told.Type, typePrefix) || !told.Response.Final || len(told.Response.ID) > 128 || len(reply) > 2<<10 {
			t.Fatalf("told %s", reply)
		}
	})
}
