package agents

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/broker"
	"parley/channels"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/tenants"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDecode(t *testing.T) {
	long := strings.Repeat("x", channels.MaxIDBytes+1)
	for _, tt := range []struct {
		text string
		id   string
		code fault.Code
	}{
		{`{"id":"m1","type":"message","content":"x"}`, "m1", ""},
		{`{"type":"message"}`, "", ""},
		{`{"id":null,"type":"message"}`, "", fault.InvalidFormat},
		{`{"\u0069d":"m1","type":"message"}`, "m1", ""},
		{``, "", fault.InvalidFormat},
		{`nonsense`, "", fault.InvalidFormat},
		{`[]`, "", fault.InvalidFormat},
		{`"x"`, "", fault.InvalidFormat},
		{`{}`, "", ""},
		{`{"id":"m1"}`, "m1", ""},
		{`{"id":"m1","type":7}`, "m1", fault.InvalidFormat},
		{`{"id":"m1","type":null}`, "m1", fault.InvalidFormat},
		{`{"id":"m1","type":"message","content":"cut`, "m1", fault.InvalidFormat},
		{`{"id":"m1","type":"message"}{}`, "m1", fault.InvalidFormat},
		{`{"id":"m1","type":"a","type":"b"}`, "m1", fault.InvalidFormat},
		{`{"id":"m1","id":"m2","type":"a"}`, "m1", fault.InvalidFormat},
		{`{"id":7,"type":"message"}`, "", fault.InvalidFormat},
		{`{"id":"","type":"message"}`, "", fault.InvalidID},
		{`{"id":"` + long + `","type":"message"}`, "", fault.InvalidID},
		{`{"id":"a\u0000b","type":"message"}`, "", fault.InvalidID},
		{`{"id":"a\nb","type":"message"}`, "", fault.InvalidID},
		{`{"id":"\u202e","type":"message"}`, "", fault.InvalidID},
		{strings.Repeat("[", 60_000), "", fault.InvalidFormat},
		{`{"id":"m1","type":"message","content":` + strings.Repeat(`{"a":`, 11_000), "m1", fault.InvalidFormat},
	} {
		req, err := decode(nil, []byte(tt.text))
		if req.ID != tt.id || fault.CodeOf(err) != tt.code {
			t.Errorf("%.80s: id %q, %v; want %q %s", tt.text, req.ID, err, tt.id, tt.code)
		}
	}
}

func TestDestination(t *testing.T) {
	for _, tt := range []struct {
		text string
		home broker.Name
		want channels.Address
		code fault.Code
	}{
		{`{"type":"a"}`, "home", channels.Address{Tenant: "acme", Channel: "home"}, ""},
		{`{"type":"a","channel_id":"x.y"}`, "home", channels.Address{Tenant: "acme", Channel: "x.y"}, ""},
		{`{"type":"a","channel_id":"x"}`, "", channels.Address{Tenant: "acme", Channel: "x"}, ""},
		{`{"type":"a","target":"bob"}`, "home", channels.Address{Tenant: "acme", Agent: "bob"}, ""},
		{`{"type":"a","target":null}`, "home", channels.Address{}, fault.InvalidFormat},
		{`{"type":"a","channel_id":null}`, "home", channels.Address{}, fault.InvalidFormat},
		{`{"type":"a"}`, "", channels.Address{}, fault.NoDestination},
		{`{"type":"a","target":"bob","channel_id":"x"}`, "", channels.Address{}, fault.InvalidFormat},
		{`{"type":"a","target":7}`, "", channels.Address{}, fault.InvalidFormat},
		{`{"type":"a","target":"a.b"}`, "", channels.Address{}, fault.InvalidID},
		{`{"type":"a","target":">"}`, "", channels.Address{}, fault.InvalidID},
		{`{"type":"a","channel_id":"*"}`, "home", channels.Address{}, fault.InvalidID},
		{`{"type":"a","channel_id":"a..b"}`, "home", channels.Address{}, fault.InvalidID},
		{`{"type":"a","channel_id":"$JS.API"}`, "home", channels.Address{}, fault.InvalidID},
		{`{"type":"a","channel_id":"a\u0000"}`, "home", channels.Address{}, fault.InvalidID},
		{`{"type":"a","channel_id":""}`, "home", channels.Address{}, fault.InvalidID},
	} {
		req, err := decode(nil, []byte(tt.text))
		if err != nil {
			t.Fatal(err)
		}
		to, err := destination(req, "acme", tt.home)
		if fault.CodeOf(err) != tt.code || err == nil && to != tt.want {
			t.Errorf("%s home %q: %+v, %v; want %+v %s", tt.text, tt.home, to, err, tt.want, tt.code)
		}
	}
}

// FuzzDecode checks that no frame makes the dialect panic, and that what it composes of one is what the sender may say.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"m1","type":"message","content":"Hello","metadata":{"k":"v"}}`))
	f.Add([]byte(`{"id":"s1","type":"subscribe","channel_id":"news","since":5}`))
	f.Add([]byte(`{"type":"task","target":"bob"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		req, err := decode(nil, text)
		if len(req.ID) > channels.MaxIDBytes {
			t.Fatalf("an id of %d bytes", len(req.ID))
		}
		if err != nil {
			if code := fault.CodeOf(err); code != fault.InvalidFormat && code != fault.InvalidID {
				t.Fatalf("code %s", code)
			}
			return
		}
		_, _ = req.since()
		_, _ = req.limit()
		if to, err := destination(req, "acme", "home"); err == nil && (to.Tenant != "acme" || (to.Agent == "") == (to.Channel == "")) {
			t.Fatalf("address %+v", to)
		}
		if m, err := compose(req, &tenants.Grant{Tenant: "acme", Agent: "ann"}, "home"); err == nil && (m.Sender != "ann" || m.ID == "") {
			t.Fatalf("message %+v", m)
		}
	})
}

func TestStoredFrameHoldsTheID(t *testing.T) {
	got := appendStored(nil, `a"b`, time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), 7, true)
	want := ws.AppendText(nil, []byte(`{"type":"ACK","message_id":"a\"b","timestamp":"2026-11-21T12:00:00.000Z","seq":7,"duplicate":true}`))
	if string(got) != string(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
