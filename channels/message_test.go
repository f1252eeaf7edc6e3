package channels

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"parley/broker"
	"parley/internal/fault"
	"parley/internal/rawjson"
)

var storedAt = time.Date(2026, 11, 21, 12, 0, 0, 123456789, time.UTC)

func TestAppendDelivery(t *testing.T) {
	t.Parallel()
	to := Address{Tenant: "acme", Channel: "news"}
	const id = `"id":"01a1fdfa-467b-7000-8000-000000000007"`
	const stamps = `"tenant_id":"acme","channel_id":"news","timestamp":"2026-11-21T12:00:00.123Z"}`
	for name, tt := range map[string]struct{ data, want, sender string }{
		"documented message": {
			`{"id":"m","type":"message","content":1,"tenant_id":"acme","agent_id":"ann","channel_id":"news","timestamp":"2026-01-01T00:00:00Z"}`,
			`{"seq":7,"id":"m","type":"message","content":1,"tenant_id":"acme","agent_id":"ann","channel_id":"news","timestamp":"2026-01-01T00:00:00Z"}`, "ann",
		},
		"text":                {`hello`, `{"seq":7,` + id + `,"type":"message","content":"hello",` + stamps, ""},
		"empty":               {``, `{"seq":7,` + id + `,"type":"message","content":"",` + stamps, ""},
		"number":              {`42`, `{"seq":7,` + id + `,"type":"message","content":42,` + stamps, ""},
		"array":               {`[1,{"a":2}]`, `{"seq":7,` + id + `,"type":"message","content":[1,{"a":2}],` + stamps, ""},
		"other object":        {`{"temperature":20}`, `{"seq":7,` + id + `,"type":"message","content":{"temperature":20},` + stamps, ""},
		"reserved type":       {`{"type":"ACK","message_id":"x"}`, `{"seq":7,` + id + `,"type":"message","content":{"type":"ACK","message_id":"x"},` + stamps, ""},
		"type of wrong kind":  {`{"type":7,"content":1}`, `{"seq":7,` + id + `,"type":"message","content":{"type":7,"content":1},` + stamps, ""},
		"binary":              {"\xff\x00", `{"seq":7,` + id + `,"type":"message","content":"/wA=","encoding":"base64",` + stamps, ""},
		"cut JSON":            {`{"content":`, `{"seq":7,` + id + `,"type":"message","content":"{\"content\":",` + stamps, ""},
		"duplicate names":     {`{"content":1,"content":2}`, `{"seq":7,` + id + `,"type":"message","content":"{\"content\":1,\"content\":2}",` + stamps, ""},
		"content alone":       {`{"content":"hi"}`, `{"seq":7,` + id + `,"type":"message","content":"hi",` + stamps, ""},
		"with an id":          {`{"id":"x","content":"hi"}`, `{"seq":7,"id":"x","type":"message","content":"hi",` + stamps, ""},
		"own type":            {`{"type":"alert","level":3}`, `{"seq":7,` + id + `,"type":"alert","level":3,` + stamps, ""},
		"other tenant":        {`{"type":"alert","tenant_id":"evil","channel_id":"other","seq":1}`, `{"seq":7,` + id + `,"type":"alert",` + stamps, ""},
		"agent that is none":  {`{"type":"alert","agent_id":"a.b"}`, `{"seq":7,` + id + `,"type":"alert",` + stamps, ""},
		"on an agent's part":  {`{"type":"alert","agent_id":"ann"}`, `{"seq":7,` + id + `,"type":"alert","tenant_id":"acme","agent_id":"ann","channel_id":"news","timestamp":"2026-11-21T12:00:00.123Z"}`, "ann"},
		"escaped owned name":  {`{"type":"alert","\u0073eq":9}`, `{"seq":7,` + id + `,"type":"alert",` + stamps, ""},
		"whitespace in front": {" {\"id\":\"m\",\"type\":\"a\",\"tenant_id\":\"acme\",\"channel_id\":\"news\",\"timestamp\":\"2026-01-01T00:00:00Z\"}", `{"seq":7,"id":"m","type":"a","tenant_id":"acme","channel_id":"news","timestamp":"2026-01-01T00:00:00Z"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, sender := appendDelivery(nil, to, broker.Stored{Seq: 7, Time: storedAt, Data: []byte(tt.data)})
			if string(got) != tt.want || string(sender) != tt.sender {
				t.Errorf("got  %s from %q\nwant %s from %q", got, sender, tt.want, tt.sender)
			}
		})
	}
}

func TestEncodeStampsWhatTheSenderSaid(t *testing.T) {
	t.Parallel()
	members, err := rawjson.Object(nil, []byte(`{"id":"spoof","type":"task","tenant_id":"evil","agent_id":"eve","x":{"y":[1]},"timestamp":"never","seq":99,"redelivered":3,"channel_id":"other"}`))
	if err != nil {
		t.Fatal(err)
	}
	m := Message{To: Address{Tenant: "acme", Agent: "bob"}, Sender: "ann", ID: "m1", Time: storedAt, Members: members}
	const want = `{"id":"m1","type":"task","x":{"y":[1]},"tenant_id":"acme","agent_id":"ann","target":"bob","timestamp":"2026-11-21T12:00:00.123Z"}`
	if got := string(m.encode()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCheckType(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"message", "a", "Task.result-1_x", "acknowledged"} {
		if err := CheckType(ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, tt := range []struct {
		typ  string
		code fault.Code
	}{{"", fault.InvalidFormat}, {"1a", fault.InvalidFormat}, {"a b", fault.InvalidFormat}, {"é", fault.InvalidFormat}, {"ACK", fault.ReservedType}, {"Subscribe", fault.ReservedType}} {
		if err := CheckType(tt.typ); fault.CodeOf(err) != tt.code {
			t.Errorf("%q: %v, want %s", tt.typ, err, tt.code)
		}
	}
}

// FuzzDelivery checks that whatever a service publishes reaches clients as valid JSON with the broker's own stamps.
func FuzzDelivery(f *testing.F) {
	f.Add([]byte(`{"type":"message","content":1}`))
	f.Add([]byte("\xff{"))
	f.Add([]byte(`{"seq":1,"tenant_id":"evil"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, _ := appendDelivery(nil, Address{Tenant: "acme", Channel: "news"}, broker.Stored{Seq: 7, Time: storedAt, Data: data})
		var d delivered
		if err := json.Unmarshal(got, &d); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if d.Seq != 7 || d.Tenant != "acme" || d.Channel != "news" || d.ID == "" || CheckType(d.Type) != nil {
			t.Fatalf("%s: stamped wrongly: %+v", got, d)
		}
	})
}

func TestAppendTimeIsRFC3339(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		storedAt, {}, time.Unix(0, 0), time.Unix(1<<33, 999_999_999), time.Date(2024, 2, 29, 23, 59, 59, 1e6-1, time.FixedZone("", 3600)),
	} {
		if got, want := FormatTime(at), at.UTC().Format("2006-01-02T15:04:05.000Z"); got != want {
			t.Errorf("%v: %s, want %s", at, got, want)
		}
	}
}

// sample is a message as an agent sends it, and as it is stored.
func sample(t testing.TB) (Message, broker.Stored) {
	members, err := rawjson.Object(nil, []byte(`{"type":"message","id":"0000000001","content":"`+strings.Repeat("c", 128)+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	m := Message{To: Address{Tenant: "acme", Channel: "news"}, Sender: "ann", ID: "0000000001", Time: storedAt, Members: members}
	return m, broker.Stored{Seq: 7, Time: storedAt, Data: m.encode()}
}

func BenchmarkEncode(b *testing.B) {
	m, _ := sample(b)
	b.ReportAllocs()
	for b.Loop() {
		m.encode()
	}
}

func BenchmarkAppendDelivery(b *testing.B) {
	m, stored := sample(b)
	out := make([]byte, 0, 1<<10)
	b.ReportAllocs()
	for b.Loop() {
		out, _ = appendDelivery(out[:0], m.To, stored)
	}
}
