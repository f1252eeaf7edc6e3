package test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"parley/test/rig"
)

var (
	otherKind = refusal{"AUTH_FAILED", "The token's header says that it is another kind of token."}
	critical  = refusal{"AUTH_FAILED", "The token's header has critical extensions, which are not supported."}
	tooOld    = refusal{"AUTH_FAILED", "The token lives longer than the 720h0m0s allowed."}
	twice     = refusal{"AUTH_FAILED", "A claim of the token occurs twice."}
	loginOnly = refusal{"PERMISSION_DENIED", "A login token opens no connection."}
	revoked   = refusal{"AUTH_FAILED", "The token was revoked."}
)

// badHeaders are tokens whose header is wrong, under a signature that is good.
func (k keyring) badHeaders() (all []badToken) {
	good := k.good()
	for _, alg := range []string{
		"nOnE", "none ", "HS384", "RS384", "RS512", "PS384", "PS512", "ES384", "ES512", "ES256K", "eddsa", "Ed25519", "Ed448", "RSA-OAEP", "dir",
		"A128KW", " HS256", "HS256 ", "HS256,none", "HS256\x00", "HMAC", "SHA256",
	} {
		all = append(all, badToken{fmt.Sprintf("alg %q", alg), good.WithHeader("alg", alg).String(), 401, noAlg})
	}
	for _, c := range []struct {
		header string
		want   refusal
	}{
		{`{"alg":null,"kid":"hs"}`, noAlg},
		{`{"alg":["HS256"],"kid":"hs"}`, noHeader},
		{`{"alg":{"name":"HS256"},"kid":"hs"}`, noHeader},
		{`{"alg":true,"kid":"hs"}`, noHeader},
		{`{"alg":"HS256","kid":["hs"]}`, noHeader},
		{`{"alg":"HS256","kid":{"id":"hs"}}`, noHeader},
		{`{"alg":"HS256","kid":"hs","kid":"rs"}`, refusal{"AUTH_FAILED", "A field of the token's header occurs twice."}},
		{`{"alg":"HS256","kid":"hs","typ":1}`, noHeader},
		{`{"alg":"HS256","kid":"hs","typ":["JWT"]}`, noHeader},
		{`{"alg":"HS256","kid":"hs"`, noHeader},
		{`{"alg":"HS256","kid":"hs"}{}`, noHeader},
		{"\ufeff" + `{"alg":"HS256","kid":"hs"}`, noHeader},
		{`"HS256"`, noHeader},
		{`{"alg":"HS256","kid":"hs","crit":[]}`, critical},
		{`{"alg":"HS256","kid":"hs","crit":["exp"]}`, critical},
		{`{"alg":"HS256","kid":"hs","crit":"exp"}`, critical},
		{`{"alg":"HS256","kid":"hs","crit":null}`, critical},
	} {
		payload, _ := json.Marshal(good.Claims) // plain values
		all = append(all, badToken{"header " + c.header, rig.Compact([]byte(c.header), payload, k.hs), 401, c.want})
	}
	for _, typ := range []string{"JWE", "secevent+jwt", "dpop+jwt", "entity-statement+jwt", "token-introspection+jwt", "application/logout+jwt", "JOSE"} {
		all = append(all, badToken{"typ " + typ, good.WithHeader("typ", typ).String(), 401, otherKind})
	}
	for _, kid := range []string{"HS", "hs ", "hs\x00", "hs/../hs", "*", ">", "\u202ehs", "|cat /etc/passwd", "file:///dev/null", "https://127.0.0.1:1/keys", "$(id)", long(256)} {
		all = append(all, badToken{fmt.Sprintf("kid %.40q", kid), good.WithHeader("kid", kid).String(), 401, unproven})
	}
	return all
}

// badSignatures are tokens that nobody with the key has signed, or not this way.
func (k keyring) badSignatures() (all []badToken) {
	good := k.good()
	tokens := map[string]rig.Token{
		"hs": good, "es": good.Signed("ES256", k.es).WithHeader("kid", "es"),
		"ed": good.Signed("EdDSA", k.ed).WithHeader("kid", "ed"), "rs": good.Signed("RS256", k.rs).WithHeader("kid", "rs"),
	}
	add := func(name, token string) { all = append(all, badToken{name, token, 401, unproven}) }
	for kid, token := range tokens {
		text := token.String()
		signed, last := text[:strings.LastIndexByte(text, '.')+1], text[strings.LastIndexByte(text, '.')+1:]
		signature, _ := base64.RawURLEncoding.DecodeString(last) // as rig has encoded it
		other := token.With("agent_id", "bob").String()
		for name, wrong := range map[string][]byte{
			"cut off": signature[:len(signature)-1], "too long": append(bytes.Clone(signature), 0), "zeros": make([]byte, len(signature)),
			"ones": bytes.Repeat([]byte{0xff}, len(signature)), "twice": append(bytes.Clone(signature), signature...),
		} {
			add(kid+", signature "+name, signed+base64.RawURLEncoding.EncodeToString(wrong))
		}
		add(kid+", signature of another token", signed+other[strings.LastIndexByte(other, '.')+1:])
	}
	for name, secret := range map[string][]byte{
		"a byte short": k.hs[:len(k.hs)-1], "with a line break": append(bytes.Clone(k.hs), '\n'), "in base64": []byte(base64.StdEncoding.EncodeToString(k.hs)),
		"in hexadecimal": []byte(hex.EncodeToString(k.hs)), "in capitals": bytes.ToUpper(k.hs), "of zeros": make([]byte, len(k.hs)),
	} {
		add("the secret "+name, good.Signed("HS256", secret).String())
	}
	es, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	add("another ES256 key", good.Signed("ES256", es).WithHeader("kid", "es").String())
	add("another EdDSA key", good.Signed("EdDSA", ed).WithHeader("kid", "ed").String())
	add("another RS256 key", good.Signed("RS256", mustRSA()).WithHeader("kid", "rs").String())
	block, _ := pem.Decode(k.rsPEM)
	add("HMAC with the public key in DER", good.Signed("HS256", block.Bytes).WithHeader("kid", "rs").String())
	add("HMAC with the EdDSA public key", good.Signed("HS256", []byte(k.ed.Public().(ed25519.PublicKey))).WithHeader("kid", "ed").String())
	add("an ES256 signature in ASN.1", asn1Signed(tokens["es"]))
	return all
}

// asn1Signed signs as TLS does, and not as JOSE does.
func asn1Signed(token rig.Token) string {
	text := token.String()
	signed, last := text[:strings.LastIndexByte(text, '.')+1], text[strings.LastIndexByte(text, '.')+1:]
	raw, _ := base64.RawURLEncoding.DecodeString(last) // as rig has encoded it
	half := len(raw) / 2
	der, err := asn1.Marshal(struct{ R, S asn1.RawValue }{integer(raw[:half]), integer(raw[half:])})
	if err != nil {
		panic(err)
	}
	return signed + base64.RawURLEncoding.EncodeToString(der)
}

func integer(b []byte) asn1.RawValue {
	return asn1.RawValue{Tag: asn1.TagInteger, Bytes: append([]byte{0}, b...)}
}

// badClaims are tokens that are signed as they should be, and say something that they must not.
func (k keyring) badClaims() (all []badToken) {
	good, now := k.good(), time.Now()
	add := func(token rig.Token, want refusal, format string, args ...any) {
		all = append(all, badToken{fmt.Sprintf(format, args...), token.String(), 401, want})
	}
	type list = []any
	wrongTypes := map[string]list{
		"tenant_id": {true, 1.5, list{}, map[string]any{}}, "agent_id": {true, list{"alice"}, map[string]any{}}, "iss": {1, list{"x"}}, "jti": {1, list{"x"}, map[string]any{}},
		"aud": {1, map[string]any{}, list{1}, list{nil}}, "scope": {1, list{nil}}, "typ": {1, list{"login"}},
		"exp": {true, list{}, map[string]any{}, json.Number("1e400"), json.Number("253402300800"), json.Number("-0.5")},
		"nbf": {"x", -1, json.Number("1e18"), list{}}, "iat": {true, -1, json.Number("1e18"), list{}},
		"channels": {true, map[string]any{}, list{nil}, list{list{}}},
		"permissions": {
			"channel.>", 1,
			map[string]any{"publish": nil},
			map[string]any{"publish": list{}},
			map[string]any{"publish": map[string]any{"allow": 1}},
			map[string]any{"publish": map[string]any{"allow": list{1}}},
			map[string]any{"subscribed": map[string]any{}},
			map[string]any{"subscribe": map[string]any{"Deny": list{"channel.a"}}},
		},
	}
	for name, values := range wrongTypes {
		for _, v := range values {
			add(good.With(name, v), claim(name, "is not of the right type"), "%s %v", name, v)
		}
	}
	for _, id := range []string{"acme ", " acme", "acme\n", "acme\x00", "acme/", "../acme", "acme%00", "аcme", "acme\u200b", "acme;", long(65)} {
		add(good.With("tenant_id", id), claim("tenant_id", "is not an id"), "tenant_id %.20q", id)
		add(good.With("agent_id", id), claim("agent_id", "is not an id"), "agent_id %.20q", id)
	}
	for _, id := range []string{"", "a b", "*", "a.b"} {
		add(good.With("agent_id", nil).With("sub", id), claim("sub", "is not an id"), "sub %q", id)
	}
	for _, channels := range []list{{""}, {"a."}, {".a"}, {">.a"}, {"a.>.b"}, {"a b"}, {"general", "a..b"}} {
		add(good.With("channels", channels), claim("channels", "is not a list of channel patterns"), "channels %q", channels)
	}
	for _, subject := range []string{"x.y", "", "channel..a", "$SYS.>", "_INBOX.>", "CHANNEL.a", "channel.a b"} {
		for _, way := range []string{"publish", "subscribe"} {
			p := map[string]any{way: map[string]any{"deny": list{subject}}}
			add(good.With("permissions", p), claim("permissions", "is not made of subject patterns such as channel.news.*"), "permissions to %s %q", way, subject)
		}
	}
	add(good.With("exp", now.Add(31*24*time.Hour).Unix()), tooOld, "exp in 31 days")
	add(good.With("iat", nil).With("exp", now.Add(31*24*time.Hour).Unix()), tooOld, "exp in 31 days, without iat")
	add(good.With("iat", now.AddDate(0, 0, -31).Unix()), tooOld, "iat 31 days ago")
	add(good.With("iat", now.Add(time.Minute).Unix()), claim("iat", "lies in the future"), "iat in a minute")
	hour := now.Add(time.Hour).Unix()
	add(good.With("nbf", hour).With("exp", hour+60), refusal{"AUTH_FAILED", "The token is not valid before " + time.Unix(hour, 0).UTC().Format(time.RFC3339) + "."}, "nbf in an hour")
	for _, login := range []rig.Token{good.With("typ", "login"), good.With("scope", "login"), good.With("scope", "chat login"), good.With("scope", list{"chat", "login"})} {
		all = append(all, badToken{"a login token", login.String(), 403, loginOnly})
	}
	return append(all, k.badPayloads()...)
}

// badPayloads are what no library writes.
func (k keyring) badPayloads() (all []badToken) {
	rest := fmt.Sprintf(`"tenant_id":"acme","agent_id":"alice","exp":%d}`, time.Now().Add(time.Hour).Unix())
	for _, c := range []struct {
		payload string
		want    refusal
	}{
		{`{"exp":1,` + rest, twice},
		{`{"agent_id":"bob",` + rest, twice},
		{`{"channels":["a"],"channels":["b"],` + rest, twice},
		{`{"permissions":{"publish":{},"publish":{}},` + rest, twice},
		{`{"x":{"y":1,"y":2},` + rest, twice},
		{"\ufeff{" + rest, noClaims},
		{"{" + rest + "{}", noClaims},
		{"{" + rest + "x", noClaims},
		{"{\"x\":\"\xff\"," + rest, noClaims},
		{`{"x":NaN,` + rest, noClaims},
		{`{"x":0x1,` + rest, noClaims},
		{`{"x":01,` + rest, noClaims},
		{`{'x':1,` + rest, noClaims},
		{`{"x":1,},` + rest, noClaims},
		{`// comment` + "\n{" + rest, noClaims},
		{`"acme"`, noClaims},
		{`1`, noClaims},
		{`true`, noClaims},
		{`{"TENANT_ID":"acme","agent_id":"alice"}`, claim("tenant_id", "is missing")},
		{`{"tenantId":"acme","agent_id":"alice"}`, claim("tenant_id", "is missing")},
		{`{"tenant_id":null,"agent_id":"alice"}`, claim("tenant_id", "is missing")},
		{`{"tenant_id":"acme","agent_id":null,"sub":null}`, claim("agent_id", "is missing, and so is sub")},
		{`{"tenant_id":"acme","agent_id":"alice","exp":null}`, claim("exp", "is missing")},
	} {
		all = append(all, badToken{"payload " + c.payload, rig.Compact([]byte(`{"alg":"HS256","kid":"hs"}`), []byte(c.payload), k.hs), 401, c.want})
	}
	return all
}

// refusedTokens are good tokens that are refused all the same: somebody has revoked them, or their tenant is switched off.
func (k keyring) refusedTokens(server *rig.Server) []badToken {
	one := k.good().With("jti", "the-one")
	server.MustCLI("token", "revoke", "--tenant", "acme", "--jti", "the-one")
	server.MustCLI("token", "revoke", "--tenant", "acme", "--agent", "mallory")
	server.MustCLI("token", "revoke", "--tenant", "evil", "--all")
	server.MustCLI("tenant", "create", "shut")
	shut := strings.TrimSpace(server.MustCLI("token", "issue", "--tenant", "shut", "--agent", "alice"))
	server.MustCLI("tenant", "suspend", "shut")
	server.MustCLI("tenant", "create", "gone")
	gone := strings.TrimSpace(server.MustCLI("token", "issue", "--tenant", "gone", "--agent", "alice"))
	server.MustCLI("tenant", "delete", "gone", "--yes")
	mallory := k.good().With("agent_id", "mallory")
	ofEvil := rig.NewToken("evil", "alice", "hs", k.evilHS).With("iat", time.Now().Add(-time.Minute).Unix())
	return []badToken{
		{"revoked by jti", one.String(), 401, revoked},
		{"revoked by jti, with another key", one.Signed("ES256", k.es).WithHeader("kid", "es").String(), 401, revoked},
		{"revoked by agent", mallory.With("iat", time.Now().Add(-time.Minute).Unix()).String(), 401, revoked},
		{"revoked by agent, which is the user", mallory.With("agent_id", nil).With("sub", "mallory").With("iat", time.Now().Add(-time.Minute).Unix()).String(), 401, revoked},
		{"revoked by agent, without iat", mallory.With("iat", nil).String(), 401, revoked},
		{"revoked with all", ofEvil.String(), 401, revoked},
		{"of a tenant that is suspended", shut, 403, refusal{"TENANT_SUSPENDED", "The tenant shut is suspended."}},
		{"of a tenant that is deleted", gone, 401, unproven},
	}
}
