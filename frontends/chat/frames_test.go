package chat

import (
	"encoding/json"
	"testing"

	"parley/internal/fault"
)

// FuzzRefusal checks that whatever a client has sent, it is told in JSON what was wrong, and nothing but its own id is
// echoed.
func FuzzRefusal(f *testing.F) {
	f.Add([]byte(`{"type":"chat","content":"c","id":"m"}`))
	f.Add([]byte(`{"type":"chat","id":"` + "\u2028\x7f" + `"}`))
	f.Add([]byte(`{"type":7,"id":{"a":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var told struct {
			Type, Code, ID string
		}
		reply := new(client).Refusal(text, fault.New(fault.UnknownType, "There is no message type %q.", shortened(string(text))))
		if err := json.Unmarshal(reply, &told); err != nil {
			t.Fatalf("%v: %s", err, reply)
		}
		if told.Type != "error" || told.Code != "UNKNOWN_TYPE" || len(told.ID) > 128 || len(reply) > 2<<10 {
			t.Fatalf("told %s", reply)
		}
	})
}
