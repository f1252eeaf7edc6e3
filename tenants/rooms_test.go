package tenants

import (
	"testing"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

// TestRoomsOfTokens lets tokens into the rooms that they name, and nowhere else.
func TestRoomsOfTokens(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	mustCreate(t, r, "acme")
	for name, tt := range map[string]struct {
		spec     TokenSpec
		in, out  string
		channels bool
	}{
		"no claim":                  {TokenSpec{User: "ann"}, "any", "*", true},
		"one room":                  {TokenSpec{User: "ann", Rooms: []string{"r1"}}, "r1", "r2", true},
		"every room":                {TokenSpec{User: "ann", Rooms: []string{"*"}}, "r1", "*", true},
		"no room":                   {TokenSpec{User: "ann", Rooms: []string{}}, "", "r1", true},
		"denied":                    {TokenSpec{User: "ann", Permissions: &Permissions{Publish: Rule{Deny: []string{"meet.r2"}}}}, "r1", "r2", true},
		"a guest":                   {TokenSpec{User: "ann", Guest: true, Rooms: []string{"r1"}}, "r1", "r2", false},
		"a login opens no room":     {TokenSpec{User: "ann", Login: true}, "", "r1", false},
		"only what was said so far": {TokenSpec{User: "ann", Permissions: &Permissions{Publish: Rule{Allow: []string{"channel.x"}}}}, "", "r1", false},
	} {
		t.Run(name, func(t *testing.T) {
			tt.spec.Tenant = "acme"
			g := mustVerify(t, r, tt.spec)
			if tt.in != "" && !g.MayJoin(tt.in) || g.MayJoin(tt.out) {
				t.Errorf("%q: %t, %q: %t", tt.in, g.MayJoin(tt.in), tt.out, g.MayJoin(tt.out))
			}
			if got := g.MayPublish("channel.any"); got != tt.channels {
				t.Errorf("may publish: %t", got)
			}
			if _, _, err := r.Exchange(t.Context(), g, time.Minute); g.Guest && fault.CodeOf(err) != fault.AuthFailed {
				t.Errorf("a room token is exchanged: %v", err)
			}
		})
	}
}

// TestRoomsSurviveTheExchange keeps a login token's rooms in the access token.
func TestRoomsSurviveTheExchange(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	mustCreate(t, r, "acme")
	login := mustVerify(t, r, TokenSpec{Tenant: "acme", User: "ann", Login: true, Rooms: []string{"r1"}})
	access, _, err := r.Exchange(t.Context(), login, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := r.Verify(t.Context(), access); err != nil || !g.MayJoin("r1") || g.MayJoin("r2") {
		t.Errorf("%v", err)
	}
}
