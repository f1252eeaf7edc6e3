package sessions

import (
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// TestChunkIsLaidOutLikeTheOthers holds what is written by hand against the general way.
func TestChunkIsLaidOutLikeTheOthers(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "word ", "\"quo\\ted\"\n\t\x01", "<b>&</b>", "émoji 🙂", "\u2028"} {
		e := &Event{Index: 7, Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), Kind: Chunk, ID: "a", Text: text, Offset: 3, Start: 4, N: 5}
		data, err := encode(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(data)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%q became %s: %+v %v", text, data, got, err)
		}
	}
}

// FuzzOutput holds what workers send against the general way to read it.
func FuzzOutput(f *testing.F) {
	for _, seed := range []string{
		`{"run":"r","attempt":1,"epoch":2,"n":3,"type":"chunk","text":"a\u0041"}`,
		`{"type":"accept","worker":"w","continue":true}`,
		`{"type":"tool_call","tool":"t","call_id":"c","arguments":{"a":[1]}}`,
		`{"type":"end","usage":{"input_tokens":1,"output_tokens":2}}`,
		`{"type":"error","code":"X","message":"m","retry":true}`,
		`{"n":-1}`, `{"n":1e3}`, `{"text":1}`, `[]`, `{"questions":["a"]}`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var o output
		if err := o.decode(data, &manner{run: "r"}); err != nil {
			return
		}
		var want struct {
			Run  string `json:"run"`
			Type string `json:"type"`
			Text string `json:"text"`
			N    uint64 `json:"n"`
		}
		if json.Unmarshal(data, &want) == nil && (o.Run != want.Run || o.Type != want.Type || o.Text != want.Text || o.N != want.N) {
			t.Errorf("%s: got %+v, want %+v", data, o, want)
		}
	})
}
