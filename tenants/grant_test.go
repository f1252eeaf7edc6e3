package tenants

import (
	"testing"

	"parley/internal/fault"
)

// mustGrant builds a grant of agent bot in tenant acme from further claims.
func mustGrant(t *testing.T, more string) *Grant {
	t.Helper()
	c, err := decodeClaims([]byte(`{"tenant_id":"acme","agent_id":"bot","exp":2000000000` + more + `}`))
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGrant(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGrantReach(t *testing.T) {
	tests := []struct {
		name, claims string
		publish      []string
		subscribe    []string
		neither      []string // in no direction
	}{
		{
			name:      "no limits",
			publish:   []string{"channel.a", "channel.a.b", "agent.bot", "agent.other"},
			subscribe: []string{"channel.a", "channel.a.b", "agent.bot"},
			neither: []string{
				"", "channel", "channel.", "channel..a", "channel.*", "channel.>", "agent.*", "agent.>", ">", "*", "status.agent.bot", "$JS.API.INFO",
				"$SYS.REQ.SERVER.PING", "_INBOX.x", "session.x", "live.channel.a", "channel.a b", "channel.a\x00", "channelx.a",
			},
		},
		{
			name: "channels", claims: `,"channels":["news","team.*","logs.>"]`,
			publish:   []string{"channel.news", "channel.team.a", "channel.logs.a.b", "agent.other", "agent.bot"},
			subscribe: []string{"channel.news", "channel.team.a", "channel.logs.a.b", "agent.bot"},
			neither:   []string{"channel.new", "channel.news.a", "channel.team", "channel.team.a.b", "channel.logs", "channel.other"},
		},
		{name: "one channel as a string", claims: `,"channels":"news"`, publish: []string{"channel.news"}, subscribe: []string{"channel.news"}, neither: []string{"channel.x"}},
		{name: "no channel at all", claims: `,"channels":[]`, publish: []string{"agent.other", "agent.bot"}, subscribe: []string{"agent.bot"}, neither: []string{"channel.news"}},
		{
			name: "read only", claims: `,"permissions":{"publish":{"deny":[">"]}}`,
			subscribe: []string{"channel.a", "agent.bot"}, neither: []string{"agent.other"},
		},
		{
			name: "deny is stronger", claims: `,"permissions":{"publish":{"allow":["channel.>"],"deny":["channel.secret.*"]},"subscribe":{"deny":["channel.secret.>"]}}`,
			publish:   []string{"channel.a", "channel.secret"},
			subscribe: []string{"channel.a", "channel.secret", "agent.bot"},
			neither:   []string{"channel.secret.x", "agent.other"},
		},
		{
			name: "an empty allow list allows nothing", claims: `,"permissions":{"publish":{"allow":[]},"subscribe":{"allow":[]}}`,
			subscribe: []string{"agent.bot"}, neither: []string{"channel.a", "agent.other"},
		},
		{
			name: "a supervisor", claims: `,"permissions":{"subscribe":{"allow":["agent.*"]},"publish":{"allow":"agent.boss"}}`,
			publish: []string{"agent.boss"}, subscribe: []string{"agent.bot", "agent.other", "agent.boss"}, neither: []string{"channel.a"},
		},
		{
			name: "the own inbox can't be denied", claims: `,"permissions":{"subscribe":{"deny":["agent.>"]}}`,
			publish: []string{"agent.other", "agent.bot", "channel.a"}, subscribe: []string{"agent.bot", "channel.a"},
		},
		{
			name: "channels and permissions both hold", claims: `,"channels":["a"],"permissions":{"publish":{"allow":["channel.>"]}}`,
			publish: []string{"channel.a"}, subscribe: []string{"channel.a", "agent.bot"}, neither: []string{"channel.b", "agent.other"},
		},
		{name: "login", claims: `,"typ":"login"`, neither: []string{"channel.a", "agent.bot", "agent.other"}},
		{name: "login by scope", claims: `,"scope":"openid login"`, neither: []string{"channel.a", "agent.bot"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := mustGrant(t, tt.claims)
			want := map[string][2]bool{}
			for _, s := range tt.publish {
				want[s] = [2]bool{true, false}
			}
			for _, s := range tt.subscribe {
				want[s] = [2]bool{want[s][0], true}
			}
			for _, s := range tt.neither {
				want[s] = [2]bool{}
			}
			for subject, w := range want {
				if got := [2]bool{g.MayPublish(subject), g.MaySubscribe(subject)}; got != w {
					t.Errorf("%q: publish, subscribe = %v, want %v", subject, got, w)
				}
			}
		})
	}
}

func TestGrantAllocatesNothing(t *testing.T) {
	g := mustGrant(t, `,"channels":["x","team.*","logs.>"],"permissions":{"publish":{"allow":["channel.>"],"deny":["channel.logs.secret"]},"subscribe":{"deny":["channel.no"]}}`)
	n := testing.AllocsPerRun(100, func() {
		if !g.MayPublish("channel.logs.a.b") || !g.MaySubscribe("channel.team.a") || g.MayPublish("channel.logs.secret") || !g.MaySubscribe("agent.bot") {
			t.Error("wrong answer")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMalformedClaims(t *testing.T) {
	tests := []struct{ name, claims, message string }{
		{"not an object", `[]`, "The token's claims are not a JSON object."},
		{"null", `null`, "The token's claim tenant_id is missing."},
		{"not JSON", `{`, "The token's claims are not a JSON object."},
		{"two objects", `{}{}`, "The token's claims are not a JSON object."},
		{"bad UTF-8", "{\"tenant_id\":\"a\xff\"}", "The token's claims are not a JSON object."},
		{"no tenant", `{"sub":"a"}`, "The token's claim tenant_id is missing."},
		{"tenant in another case", `{"Tenant_ID":"acme","sub":"a"}`, "The token's claim tenant_id is missing."},
		{"tenant null", `{"tenant_id":null,"sub":"a"}`, "The token's claim tenant_id is missing."},
		{"tenant a number", `{"tenant_id":1,"sub":"a"}`, "The token's claim tenant_id is not of the right type."},
		{"tenant a list", `{"tenant_id":["acme"],"sub":"a"}`, "The token's claim tenant_id is not of the right type."},
		{"tenant with a dot", `{"tenant_id":"a.b","sub":"a"}`, "The token's claim tenant_id is not an id."},
		{"tenant a wildcard", `{"tenant_id":"*","sub":"a"}`, "The token's claim tenant_id is not an id."},
		{"tenant a path", `{"tenant_id":"../acme","sub":"a"}`, "The token's claim tenant_id is not an id."},
		{"tenant with NUL", `{"tenant_id":"acme\u0000","sub":"a"}`, "The token's claim tenant_id is not an id."},
		{"tenant look-alike", `{"tenant_id":"аcme","sub":"a"}`, "The token's claim tenant_id is not an id."},
		{"tenant twice", `{"tenant_id":"acme","tenant_id":"evil","sub":"a"}`, "A claim of the token occurs twice."},
		{"tenant twice, once escaped", `{"tenant_id":"acme","tenant\u005fid":"evil","sub":"a"}`, "A claim of the token occurs twice."},
		{"unknown claim twice", `{"tenant_id":"acme","x":1,"x":2,"sub":"a"}`, "A claim of the token occurs twice."},
		{"nobody", `{"tenant_id":"acme"}`, "The token's claim agent_id is missing, and so is sub."},
		{"agent empty", `{"tenant_id":"acme","agent_id":"","sub":"a"}`, "The token's claim agent_id is not an id."},
		{"agent a wildcard", `{"tenant_id":"acme","agent_id":">"}`, "The token's claim agent_id is not an id."},
		{"agent a number", `{"tenant_id":"acme","agent_id":7}`, "The token's claim agent_id is not of the right type."},
		{"sub with a bar", `{"tenant_id":"acme","sub":"auth0|7"}`, "The token's claim sub is not an id."},
		{"exp a string", `{"tenant_id":"acme","sub":"a","exp":"2000000000"}`, "The token's claim exp is not of the right type."},
		{"exp huge", `{"tenant_id":"acme","sub":"a","exp":1000000000000000000}`, "The token's claim exp is not of the right type."},
		{"exp overflowing", `{"tenant_id":"acme","sub":"a","exp":1e999}`, "The token's claim exp is not of the right type."},
		{"exp negative", `{"tenant_id":"acme","sub":"a","exp":-1}`, "The token's claim exp is not of the right type."},
		{"exp a boolean", `{"tenant_id":"acme","sub":"a","exp":true}`, "The token's claim exp is not of the right type."},
		{"nbf an object", `{"tenant_id":"acme","sub":"a","nbf":{}}`, "The token's claim nbf is not of the right type."},
		{"iat a list", `{"tenant_id":"acme","sub":"a","iat":[1]}`, "The token's claim iat is not of the right type."},
		{"aud a number", `{"tenant_id":"acme","sub":"a","aud":1}`, "The token's claim aud is not of the right type."},
		{"iss a list", `{"tenant_id":"acme","sub":"a","iss":["x"]}`, "The token's claim iss is not of the right type."},
		{"channels null", `{"tenant_id":"acme","sub":"a","channels":null}`, "The token's claim channels is not of the right type."},
		{"channels a number", `{"tenant_id":"acme","sub":"a","channels":1}`, "The token's claim channels is not of the right type."},
		{"channels with null", `{"tenant_id":"acme","sub":"a","channels":["a",null]}`, "The token's claim channels is not of the right type."},
		{"channels with a number", `{"tenant_id":"acme","sub":"a","channels":["a",1]}`, "The token's claim channels is not of the right type."},
		{"channels empty name", `{"tenant_id":"acme","sub":"a","channels":[""]}`, "The token's claim channels is not a list of channel patterns."},
		{"channels half wildcard", `{"tenant_id":"acme","sub":"a","channels":["a*"]}`, "The token's claim channels is not a list of channel patterns."},
		{"channels tail first", `{"tenant_id":"acme","sub":"a","channels":[">.a"]}`, "The token's claim channels is not a list of channel patterns."},
		{"channels of the server", `{"tenant_id":"acme","sub":"a","channels":["$SYS.>"]}`, "The token's claim channels is not a list of channel patterns."},
		{"channels with a space", `{"tenant_id":"acme","sub":"a","channels":["a b"]}`, "The token's claim channels is not a list of channel patterns."},
		{"permissions null", `{"tenant_id":"acme","sub":"a","permissions":null}`, "The token's claim permissions is not of the right type."},
		{"permissions a list", `{"tenant_id":"acme","sub":"a","permissions":[]}`, "The token's claim permissions is not of the right type."},
		{"permissions misspelt", `{"tenant_id":"acme","sub":"a","permissions":{"pub":{"deny":[">"]}}}`, "The token's claim permissions is not of the right type."},
		{"permissions misspelt below", `{"tenant_id":"acme","sub":"a","permissions":{"publish":{"denied":[">"]}}}`, "The token's claim permissions is not of the right type."},
		{"publish null", `{"tenant_id":"acme","sub":"a","permissions":{"publish":null}}`, "The token's claim permissions is not of the right type."},
		{"publish a list", `{"tenant_id":"acme","sub":"a","permissions":{"publish":[">"]}}`, "The token's claim permissions is not of the right type."},
		{"allow null", `{"tenant_id":"acme","sub":"a","permissions":{"publish":{"allow":null}}}`, "The token's claim permissions is not of the right type."},
		{"allow of an unknown root", `{"tenant_id":"acme","sub":"a","permissions":{"publish":{"allow":["chanel.a"]}}}`, "The token's claim permissions is not made of subject patterns such as channel.news.*."},
		{"deny of JetStream", `{"tenant_id":"acme","sub":"a","permissions":{"publish":{"deny":["$JS.>"]}}}`, "The token's claim permissions is not made of subject patterns such as channel.news.*."},
		{"allow malformed", `{"tenant_id":"acme","sub":"a","permissions":{"subscribe":{"allow":["channel..a"]}}}`, "The token's claim permissions is not made of subject patterns such as channel.news.*."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := decodeClaims([]byte(tt.claims))
			if err == nil {
				_, err = newGrant(c)
			}
			if fault.CodeOf(err) != fault.AuthFailed || fault.Message(err) != tt.message {
				t.Errorf("%s %q, want AUTH_FAILED %q (%v)", fault.CodeOf(err), fault.Message(err), tt.message, err)
			}
		})
	}
}
