package main

import (
	"strings"
	"testing"
)

func TestMistakesInATenantsFile(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no YAML", "tenants: [", "line 1: did not find expected node content."},
		{"another form", "tenants: {a: b}", "line 1: cannot unmarshal !!map into []main.wantedTenant."},
		{"an unknown key", "tenants:\n  - id: a\n    nam: x\n", `line 3: there is no key "nam".`},
		{"two unknown keys", "tenants:\n  - id: a\n    keys:\n      - kid: k\n        secrets: x\n    b: c\n", `line 5: there is no key "secrets"; line 6: there is no key "b".`},
		{"an unknown key at the top", "tenant: []\n", `line 1: there is no key "tenant".`},
		{"two documents", "tenants: []\n---\ntenants: []\n", "there is a second document in it"},
		{"no id", "tenants:\n  - name: x\n", "line 2: A tenant's id is 1 to 64 characters of A-Z a-z 0-9 _ and -."},
		{"twice", "tenants:\n  - id: a\n  - id: a\n", "line 3: the tenant a is in line 2 already"},
		{"a state", "tenants:\n  - {id: a, state: gone}\n", `line 2: The state is active or suspended, not "gone".`},
		{"an unknown limit", "tenants:\n  - {id: a, limits: {speed: 1}}\n", `line 2: There is no limit "speed".`},
		{"a value of a limit", "tenants:\n  - {id: a, limits: {connections: many}}\n", `line 2: "many" is no value of the limit connections.`},
		{"a key without id", "tenants:\n  - {id: a, keys: [{alg: ES256}]}\n", `line 2: Every key needs a kid of its own; "" is none.`},
		{"a key that is two", "tenants:\n  - {id: a, keys: [{kid: k, secret: {env: A}, jwks_url: b}]}\n", "line 2: The key k is a secret, a public key or a JWKS URL: only one of them."},
		{"a key in two places", "tenants:\n  - {id: a, keys: [{kid: k, secret: {env: A, file: b}}]}\n", "line 2: The key k is in a file or in a variable: only one of them."},
		{"a key in the open", "tenants:\n  - {id: a, keys: [{kid: k, secret: hidden}]}\n", "line 2: cannot unmarshal !!str `hidden` into main.source."},
		{"an API key that nobody gets", "tenants:\n  - {id: a, api_keys: [{name: n}]}\n", "line 2: The API key n has no save_to: a new key's text is shown once, so a file has to take it."},
		{"a scope", "tenants:\n  - {id: a, api_keys: [{name: n, save_to: f, scopes: [all]}]}\n", "line 2: An API key has the scopes chats:read, chats:write and rooms."},
	} {
		if _, err := parseTenants([]byte(c.text)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	file, err := parseTenants([]byte("tenants:\n  - {id: a, limits: {connections: 5, history_age: 7d}}\n"))
	if err != nil || len(file.Tenants) != 1 || *file.Tenants[0].limits["connections"] != 5 || *file.Tenants[0].limits["history_age"] != 7*24*3600 {
		t.Errorf("%+v, %v", file, err)
	}
	if _, err := parseTenants(nil); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func FuzzTenantsFile(f *testing.F) {
	f.Add("tenants:\n  - {id: a, name: x, keys: [{kid: k, secret: {env: A}}]}\n")
	f.Add("tenants: [{id: a}, {id: a}]")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parseTenants([]byte(text))
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error("an error without words")
		}
		for _, tenant := range file.Tenants {
			if err == nil && (tenant.ID == "" || tenant.line == 0) {
				t.Errorf("%+v", tenant)
			}
		}
	})
}
