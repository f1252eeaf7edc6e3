package rooms

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"parley/internal/fault"
)

func TestICEServers(t *testing.T) {
	stun, udp, tls := "stun:turn.example", "turn:turn.example:3478?transport=udp", "turns:[2001:db8::1]:5349?transport=tcp"
	ice, err := NewICE(ICEConfig{URLs: []string{udp, stun, tls}, Secret: []byte("north")})
	if err != nil {
		t.Fatal(err)
	}
	ice.now = func() time.Time { return time.Unix(1_700_000_000, 999_999_999) }
	// echo -n 1700043200:ann | openssl dgst -sha1 -hmac north -binary | base64
	want := []ICEServer{
		{URLs: []string{stun}},
		{URLs: []string{udp, tls}, Username: "1700043200:ann", Credential: "Y815wedbqVOoE/qJ5d8csukTVCk="},
	}
	if got := ice.Servers("ann"); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	none, err := NewICE(ICEConfig{})
	if err != nil || none.Servers("ann") == nil || len(none.Servers("ann")) != 0 {
		t.Errorf("without servers: %v, %v; want an empty list", none.Servers("ann"), err)
	}
}

func TestICEMistakes(t *testing.T) {
	secret := []byte("north")
	for _, c := range []struct {
		cfg  ICEConfig
		want string // a part of the message, "" when nothing is wrong
	}{
		{ICEConfig{URLs: []string{"stun:turn.example"}}, ""},
		{ICEConfig{URLs: []string{"stuns:[::1]"}}, ""},
		{ICEConfig{URLs: []string{"turn:[::1]:1"}, Secret: secret, TTL: time.Second}, ""},
		{ICEConfig{URLs: []string{"turn:turn.example"}}, "has no secret"},
		{ICEConfig{URLs: []string{"stun:turn.example"}, Secret: secret}, "no TURN server"},
		{ICEConfig{Secret: secret}, "no TURN server"},
		{ICEConfig{TTL: -1}, "longer than nothing"},
		{ICEConfig{URLs: []string{""}}, "not of the form"},
		{ICEConfig{URLs: []string{"turn.example:3478"}}, "not of the form"},
		{ICEConfig{URLs: []string{"https://turn.example"}}, "not of the form"},
		{ICEConfig{URLs: []string{"turn://turn.example"}}, "not of the form"},
		{ICEConfig{URLs: []string{"turn:ann:word@turn.example"}, Secret: secret}, "not of the form"},
		{ICEConfig{URLs: []string{"turn:turn.example?transport=quic"}, Secret: secret}, "not of the form"},
		{ICEConfig{URLs: []string{"stun:turn.example?transport=udp"}}, "only TURN servers"},
		{ICEConfig{URLs: []string{"stun:turn.example:0"}}, "no port"},
		{ICEConfig{URLs: []string{"stun:turn.example:99999"}}, "no port"},
		{ICEConfig{URLs: []string{"stun:turn.example:"}}, "no port"},
		{ICEConfig{URLs: []string{"stun::3478"}}, "no host and port"},
		{ICEConfig{URLs: []string{"stun:2001:db8::1"}}, "no host and port"},
	} {
		_, err := NewICE(c.cfg)
		if c.want == "" && err != nil || c.want != "" && (fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.Message(err), c.want)) {
			t.Errorf("%q, TTL %s: %v, want %q", c.cfg.URLs, c.cfg.TTL, err, c.want)
		}
	}
}
