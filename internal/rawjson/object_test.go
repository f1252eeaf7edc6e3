package rawjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestObject(t *testing.T) {
	members, err := Object(nil, []byte(` {"a":1, "\u0062" : {"x":[1,2]},"c":"\u00e4"} `))
	if err != nil || len(members) != 3 {
		t.Fatalf("Object = %v, %v", members, err)
	}
	for i, want := range []struct{ name, value string }{{"a", "1"}, {"b", `{"x":[1,2]}`}, {"c", `"\u00e4"`}} {
		if members[i].Name != want.name || string(members[i].Value) != want.value {
			t.Errorf("member %d = %s %s, want %s %s", i, members[i].Name, members[i].Value, want.name, want.value)
		}
	}
	if s, ok := members[2].String(); !ok || s != "ä" {
		t.Errorf("String = %q, %v", s, ok)
	}
	if _, ok := members[0].String(); ok {
		t.Error("a number is a string")
	}
}

func TestObjectRefuses(t *testing.T) {
	for _, text := range []string{
		"", "{", "}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1}{`, `{"a":1} x`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, "{\"a\":\"\xff\"}",
		`{"a":NaN}`, `{"a":1}}`, `{"a":1,"b":}`, `{"a":"\"}`, `{a:1}`, `{'a':1}`, `{"a":01}`, "{\"a\":\"\n\"}", `{"a":"\ud800"}`, `[1`,
	} {
		if members, err := Object(nil, []byte(text)); err == nil || errors.Is(err, ErrNotObject) {
			t.Errorf("%q: members %v, err %v", text, members, err)
		}
	}
	for _, text := range []string{"1", `"x"`, "null", "[1,[2]]", " true "} {
		if _, err := Object(nil, []byte(text)); !errors.Is(err, ErrNotObject) {
			t.Errorf("%q: err %v, want ErrNotObject", text, err)
		}
	}
	members, err := Object(nil, []byte(`{"id":"x","content":"cut of`))
	if err == nil || len(members) != 1 || members[0].Name != "id" {
		t.Errorf("a cut object: %v, %v; want the whole members before the cut", members, err)
	}
}

func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":[{}]}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, text []byte) {
		members, err := Object(nil, text)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if len(members) != len(want) {
			t.Fatalf("%d members, encoding/json has %d", len(members), len(want))
		}
		for _, m := range members {
			if string(want[m.Name]) != string(m.Value) {
				t.Fatalf("%q: %s, encoding/json has %s", m.Name, m.Value, want[m.Name])
			}
		}
	})
}

// TestSplitAgrees holds the quick way against the careful one.
func TestSplitAgrees(t *testing.T) {
	for _, text := range []string{
		`{}`, " {\n} ", `{"a":"täxt \n \u00e4","b":-0.5E+10,"c":true,"d":false,"e":null , "f":[{"g":"]"}] }`, "{\"a\":\"12345678\x1f\"}", "{\"a\":\"1234567\xff\"}",
		`{"a":01}`, `{"a":1.}`, `{"a":1e}`, `{"a":-}`, `{"a":+1}`, `{"a":tru}`, `{"a":[}}`, `{"a":{]}`, `{"a":1,}`, `{"a":1 "b":2}`, `{"a":"x`, `{"a":"x\`, `{"a":"\x"}`, `{"a":1,"a":2}`,
		`{"a":1} x`, `{"a":1}}`, `{`, ` `, `{"a"}`, `{"a":}`, `{"a":"ä"`, "{\"\xff\":1}", `{"é":1,"é":2}`,
		`{"a":"x\\","b":"\"}{","c":[{"d":"]"},[]],"e":-1.5e3 ,"f":true}`, `{"\"":null , "":{"":{}}}`, `{"id":"1","type":"t","content":{"a":[1,"}"]}}`,
	} {
		agree(t, []byte(text))
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"a":"\\\"","b":[{}]}`))
	f.Fuzz(agree)
}

func agree(t *testing.T, text []byte) {
	quick, err := Object(nil, text)
	careful, carefulErr := slowly(nil, text)
	if (err == nil) != (carefulErr == nil) || errors.Is(err, ErrNotObject) != errors.Is(carefulErr, ErrNotObject) || len(quick) != len(careful) {
		t.Fatalf("%q: %v, %v; the careful way has %v, %v", text, quick, err, careful, carefulErr)
	}
	for i, m := range quick {
		if m.Name != careful[i].Name || string(m.Value) != string(careful[i].Value) {
			t.Fatalf("%q: member %v, the careful way has %v", text, m, careful[i])
		}
	}
}

func BenchmarkObject(b *testing.B) {
	text := []byte(`{"id":"0000000001","type":"message","content":"` + strings.Repeat("c", 128) + `","tenant_id":"acme","agent_id":"ann","channel_id":"c","timestamp":"2026-11-21T13:00:00.000Z"}`)
	room := make([]Member, 0, 16)
	for name, f := range map[string]func([]Member, []byte) ([]Member, error){"quick": Object, "careful": slowly} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f(room[:0], text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
