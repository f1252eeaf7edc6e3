package test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/test/rig"
)

// keyring is the keys of acme and evil, both of which call theirs hs, es, ed and rs.
type keyring struct {
	hs, evilHS, revoked []byte
	es, evilES          *ecdsa.PrivateKey
	ed                  ed25519.PrivateKey
	rs                  *rsa.PrivateKey
	rsPEM               []byte // the public half
}

func newKeyring(t *testing.T, server *rig.Server) keyring {
	t.Helper()
	k := keyring{hs: random(t, 32), evilHS: random(t, 32), revoked: random(t, 32)}
	var err error
	if k.rs, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if _, k.ed, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	for _, es := range []**ecdsa.PrivateKey{&k.es, &k.evilES} {
		if *es, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	k.rsPEM = publicPEM(t, &k.rs.PublicKey)
	add := func(tenant, alg, kid, flag string, material []byte) {
		server.MustCLI("key", "add", "--tenant", tenant, "--alg", alg, "--kid", kid, flag, rig.WriteFile(t, kid, material))
	}
	add("acme", "HS256", "hs", "--secret-file", k.hs)
	add("acme", "HS256", "revoked", "--secret-file", k.revoked)
	add("acme", "RS256", "rs", "--public-key-file", k.rsPEM)
	add("acme", "ES256", "es", "--public-key-file", publicPEM(t, &k.es.PublicKey))
	add("acme", "EdDSA", "ed", "--public-key-file", publicPEM(t, k.ed.Public()))
	add("evil", "HS256", "hs", "--secret-file", k.evilHS)
	add("evil", "HS256", "only-evil", "--secret-file", k.evilHS)
	add("evil", "ES256", "es", "--public-key-file", publicPEM(t, &k.evilES.PublicKey))
	server.MustCLI("key", "revoke", "--tenant", "acme", "revoked")
	return k
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	// Files of secrets may end in a line break that is not part of them, so no byte here looks like white space.
	for i := range b {
		b[i] = 'a' + b[i]%26
	}
	return b
}

func publicPEM(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// badToken is a token that opens nothing, and the exact answer to it.
type badToken struct {
	name, token string
	status      int
	want        refusal
}

// The answers that many tokens share.
var (
	noToken  = refusal{"AUTH_REQUIRED", "The request has no token."}
	noJWT    = refusal{"AUTH_FAILED", "The token is not a JWT: three parts of base64url, joined by dots."}
	noHeader = refusal{"AUTH_FAILED", "The token's header is not a JSON object with alg, kid and typ as strings."}
	noAlg    = refusal{"AUTH_FAILED", "The token's algorithm is not HS256, ES256, EdDSA or RS256."}
	noClaims = refusal{"AUTH_FAILED", "The token's claims are not a JSON object."}
	unproven = refusal{"AUTH_FAILED", "The token's signature is not one of a key of its tenant."}
)

func claim(name, problem string) refusal {
	return refusal{"AUTH_FAILED", fmt.Sprintf("The token's claim %s %s.", name, problem)}
}

// good is a token that acme's agent alice would be let in with.
func (k keyring) good() rig.Token { return rig.NewToken("acme", "alice", "hs", k.hs) }

func (k keyring) badTokens() []badToken {
	good, now := k.good(), time.Now()
	whole := good.String()
	header, rest, _ := strings.Cut(whole, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	claims := func(text string) string { return rig.Compact([]byte(`{"alg":"HS256","kid":"hs"}`), []byte(text), k.hs) }
	headed := func(text string) string {
		return rig.Compact([]byte(text), fmt.Appendf(nil, `{"tenant_id":"acme","agent_id":"alice","exp":%d}`, now.Add(time.Hour).Unix()), k.hs)
	}
	twice := fmt.Sprintf(`{"tenant_id":"acme","agent_id":"alice","exp":%d,"tenant_id":"evil"}`, now.Add(time.Hour).Unix())
	all := []badToken{
		// form
		{"a word", "letmein", 401, noJWT},
		{"dots", "...", 401, noJWT},
		{"two dots", "..", 401, noJWT},
		{"two parts", header + "." + payload, 401, noJWT},
		{"four parts", whole + ".x", 401, noJWT},
		{"empty signature", header + "." + payload + ".", 401, unproven},
		{"empty payload", header + ".." + signature, 401, noJWT},
		{"empty header", "." + payload + "." + signature, 401, noJWT},
		{"padding", header + "=." + payload + "." + signature, 401, noJWT},
		{"standard base64", strings.Replace(whole, header, "+/+/", 1), 401, noJWT},
		{"a space in it", header + " ." + payload + "." + signature, 401, noJWT},
		{"a line break in it", header + ".\n" + payload + "." + signature, 401, noJWT},
		{"a NUL in it", header + "\x00." + payload + "." + signature, 401, noJWT},
		{"4,097 bytes", long(4097), 401, refusal{"AUTH_FAILED", "The token is longer than 4096 bytes."}},
		{"a thousand dots", strings.Repeat(".", 1000), 401, noJWT},
		{"encrypted, five parts", header + "." + payload + "." + signature + ".a.b", 401, noJWT},

		// header
		{"alg none", good.Signed("none", nil).String(), 401, noAlg},
		{"alg NONE", good.Signed("NONE", nil).String(), 401, noAlg},
		{"alg none, signed all the same", good.Signed("none", k.hs).String(), 401, noAlg},
		{"alg empty", good.Signed("", k.hs).String(), 401, noAlg},
		{"alg missing", good.WithHeader("alg", nil).String(), 401, noAlg},
		{"alg in small letters", good.Signed("hs256", k.hs).String(), 401, noAlg},
		{"alg HS512", good.Signed("HS512", k.hs).String(), 401, noAlg},
		{"alg PS256", good.Signed("PS256", k.rs).WithHeader("kid", "rs").String(), 401, noAlg},
		{"alg a number", headed(`{"alg":256,"kid":"hs"}`), 401, noHeader},
		{"alg twice", headed(`{"alg":"none","alg":"HS256","kid":"hs"}`), 401, refusal{"AUTH_FAILED", "A field of the token's header occurs twice."}},
		{"header no JSON", headed(`alg=HS256`), 401, noHeader},
		{"header a list", headed(`["HS256"]`), 401, noHeader},
		{"typ of another kind", good.WithHeader("typ", "logout+jwt").String(), 401, refusal{"AUTH_FAILED", "The token's header says that it is another kind of token."}},
		{"crit", good.WithHeader("crit", []string{"b64"}).String(), 401, refusal{"AUTH_FAILED", "The token's header has critical extensions, which are not supported."}},
		{"kid a path", good.WithHeader("kid", "../../../../dev/null").String(), 401, unproven},
		{"kid a query", good.WithHeader("kid", "hs' OR '1'='1").String(), 401, unproven},
		{"kid a number", good.WithHeader("kid", 1).String(), 401, noHeader},
		{"kid of 257 bytes", good.WithHeader("kid", long(257)).String(), 401, refusal{"AUTH_FAILED", "The token's key id is longer than 256 bytes."}},
		{"unknown kid", good.WithHeader("kid", "nonesuch").String(), 401, unproven},

		// keys that are not the tenant's, or not any more, or not for this
		{"signed with nothing", good.Signed("HS256", nil).String(), 401, unproven},
		{"signed with an empty key", good.Signed("HS256", []byte{}).String(), 401, unproven},
		{"signed with a guess", good.Signed("HS256", []byte("secret")).String(), 401, unproven},
		{"signed with evil's key of the same kid", good.Signed("HS256", k.evilHS).String(), 401, unproven},
		{"signed with evil's key and its kid", good.Signed("HS256", k.evilHS).WithHeader("kid", "only-evil").String(), 401, unproven},
		{"signed with evil's ES256 key of the same kid", good.Signed("ES256", k.evilES).WithHeader("kid", "es").String(), 401, unproven},
		{"a revoked key", good.Signed("HS256", k.revoked).WithHeader("kid", "revoked").String(), 401, unproven},
		{"a revoked key, without kid", good.Signed("HS256", k.revoked).WithHeader("kid", nil).String(), 401, unproven},
		{"RS/HS confusion: HMAC with the public key", good.Signed("HS256", k.rsPEM).WithHeader("kid", "rs").String(), 401, unproven},
		{"RS/HS confusion without kid", good.Signed("HS256", k.rsPEM).WithHeader("kid", nil).String(), 401, unproven},
		{"RS256 with kid of the secret", good.Signed("RS256", k.rs).String(), 401, unproven},
		{"ES256 with kid of the RSA key", good.Signed("ES256", k.es).WithHeader("kid", "rs").String(), 401, unproven},
		{"ES256 header, HMAC signature", good.WithHeader("alg", "ES256").WithHeader("kid", "es").String(), 401, unproven},
		{"jku of the attacker", good.Signed("RS256", mustRSA()).WithHeader("kid", "theirs").WithHeader("jku", "http://127.0.0.1:1/keys").String(), 401, unproven},
		{"jwk of the attacker", good.Signed("RS256", mustRSA()).WithHeader("kid", "rs").WithHeader("jwk", map[string]any{"kty": "RSA", "n": "AQAB", "e": "AQAB"}).String(), 401, unproven},
		{"x5u of the attacker", good.Signed("RS256", mustRSA()).WithHeader("kid", "rs").WithHeader("x5u", "http://127.0.0.1:1/cert").String(), 401, unproven},
		{"x5c of the attacker", good.Signed("RS256", mustRSA()).WithHeader("kid", "rs").WithHeader("x5c", []string{"MIIB"}).String(), 401, unproven},
		{"the signature's last bit", whole[:len(whole)-1] + string(flip(whole[len(whole)-1])), 401, unproven},
		{"another payload under the signature", header + "." + encode(`{"tenant_id":"acme","agent_id":"root","exp":9999999999}`) + "." + signature, 401, unproven},

		// claims
		{"payload no JSON", claims("hello"), 401, noClaims},
		{"payload a list", claims(`["acme"]`), 401, noClaims},
		{"payload null", claims("null"), 401, claim("tenant_id", "is missing")},
		{"payload cut off", claims(`{"tenant_id":"acme"`), 401, noClaims},
		{"no claims", claims("{}"), 401, claim("tenant_id", "is missing")},
		{"tenant_id twice", claims(twice), 401, refusal{"AUTH_FAILED", "A claim of the token occurs twice."}},
		{"no tenant_id", good.With("tenant_id", nil).String(), 401, claim("tenant_id", "is missing")},
		{"tenant_id empty", good.With("tenant_id", "").String(), 401, claim("tenant_id", "is missing")},
		{"tenant_id a number", good.With("tenant_id", 1).String(), 401, claim("tenant_id", "is not of the right type")},
		{"tenant_id a list", good.With("tenant_id", []string{"acme"}).String(), 401, claim("tenant_id", "is not of the right type")},
		{"tenant_id a wildcard", good.With("tenant_id", "*").String(), 401, claim("tenant_id", "is not an id")},
		{"tenant_id $SYS", good.With("tenant_id", "$SYS").String(), 401, claim("tenant_id", "is not an id")},
		{"tenant_id with a dot", good.With("tenant_id", "acme.x").String(), 401, claim("tenant_id", "is not an id")},
		{"tenant_id of another tenant", good.With("tenant_id", "evil").String(), 401, unproven},
		{"tenant_id of nobody", good.With("tenant_id", "nonesuch").String(), 401, unproven},
		{"tenant_id in other letters", good.With("tenant_id", "ACME").String(), 401, unproven},
		{"no agent_id", good.With("agent_id", nil).String(), 401, claim("agent_id", "is missing, and so is sub")},
		{"agent_id empty", good.With("agent_id", "").String(), 401, claim("agent_id", "is not an id")},
		{"agent_id a wildcard", good.With("agent_id", ">").String(), 401, claim("agent_id", "is not an id")},
		{"agent_id with a dot", good.With("agent_id", "a.b").String(), 401, claim("agent_id", "is not an id")},
		{"agent_id with a line break", good.With("agent_id", "a\nb").String(), 401, claim("agent_id", "is not an id")},
		{"agent_id of look-alikes", good.With("agent_id", "аlice").String(), 401, claim("agent_id", "is not an id")},
		{"agent_id of 10 KB", good.With("agent_id", long(2500)).String(), 401, claim("agent_id", "is not an id")},
		{"agent_id a number", good.With("agent_id", 7).String(), 401, claim("agent_id", "is not of the right type")},
		{"no exp", good.With("exp", nil).String(), 401, claim("exp", "is missing")},
		{"exp a word", good.With("exp", "tomorrow").String(), 401, claim("exp", "is not of the right type")},
		{"exp as text", good.With("exp", fmt.Sprint(now.Add(time.Hour).Unix())).String(), 401, claim("exp", "is not of the right type")},
		{"exp negative", good.With("exp", -1).String(), 401, claim("exp", "is not of the right type")},
		{"exp 10^18", good.With("exp", json.Number("1000000000000000000")).String(), 401, claim("exp", "is not of the right type")},
		{"exp a year off", good.With("exp", now.AddDate(1, 0, 0).Unix()).String(), 401, refusal{"AUTH_FAILED", "The token lives longer than the 720h0m0s allowed."}},
		{"exp before iat", good.With("exp", now.Add(5*time.Second).Unix()).With("iat", now.Add(8*time.Second).Unix()).String(), 401, claim("exp", "lies before iat")},
		{"expired", good.With("iat", now.Add(-2*time.Hour).Unix()).With("exp", 1767225600).String(), 401, refusal{"TOKEN_EXPIRED", "The token expired at 2026-01-01T00:00:00Z."}},
		{"expired in 1970", good.With("iat", 0).With("exp", 0).String(), 401, refusal{"TOKEN_EXPIRED", "The token expired at 1970-01-01T00:00:00Z."}},
		{"iat in an hour", good.With("iat", now.Add(time.Hour).Unix()).With("exp", now.Add(2*time.Hour).Unix()).String(), 401, claim("iat", "lies in the future")},
		{"iat a word", good.With("iat", "now").String(), 401, claim("iat", "is not of the right type")},
		{"nbf in 2100", good.With("nbf", 4102444800).String(), 401, refusal{"AUTH_FAILED", "The token is not valid before 2100-01-01T00:00:00Z."}},
		{"channels a number", good.With("channels", 1).String(), 401, claim("channels", "is not of the right type")},
		{"channels with a number", good.With("channels", []any{"a", 1}).String(), 401, claim("channels", "is not of the right type")},
		{"channels no patterns", good.With("channels", []string{"a..b"}).String(), 401, claim("channels", "is not a list of channel patterns")},
		{"permissions a list", good.With("permissions", []string{"channel.>"}).String(), 401, claim("permissions", "is not of the right type")},
		{"permissions misspelt", good.With("permissions", map[string]any{"publish": map[string]any{"denied": []string{"channel.a"}}}).String(), 401, claim("permissions", "is not of the right type")},
		{"permissions of no subject", good.With("permissions", map[string]any{"publish": map[string]any{"allow": []string{"$JS.API.>"}}}).String(), 401, claim("permissions", "is not made of subject patterns such as channel.news.*")},
	}
	return all
}

func mustRSA() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// flip returns another letter of base64url whose bits differ where a 32-byte signature's last character has some.
func flip(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^0x04]
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	newTenant(t, server, "acme")
	newTenant(t, server, "evil")
	keys := newKeyring(t, server)
	refused := func() []badToken { return keys.refusedTokens(server) }
	total := 0
	for _, some := range []func() []badToken{keys.badTokens, keys.badHeaders, keys.badSignatures, keys.badClaims, refused} {
		for _, c := range some() {
			total++
			t.Run(c.name, func(t *testing.T) { checkBadToken(t, server, c) })
		}
	}
	if total < 200 {
		t.Errorf("only %d bad tokens", total)
	}
	t.Run("none", func(t *testing.T) {
		for _, path := range []string{"/v1/ws", "/v1/ws?token=", "/v1/ws/tenant/acme/agent/alice/channel/general"} {
			_, res := rig.TryDial(t, server.Addr(), path, nil)
			checkProblem(t, res, 401, noToken)
		}
		checkProblem(t, rig.Do(t, "GET", server.URL()+"/v1/agents", "", ""), 401, noToken)
	})
}

// checkBadToken expects that a token opens neither a socket nor anything over REST.
func checkBadToken(t *testing.T, server *rig.Server, c badToken) {
	t.Helper()
	s, res := rig.TryDial(t, server.Addr(), "/v1/ws?"+rig.Query("token", c.token, "channel_id", "general"), nil)
	if s != nil {
		t.Fatal("the connection was accepted")
	}
	checkProblem(t, res, c.status, c.want)
	if strings.ContainsAny(c.token, " \n\x00") {
		return // no header can hold it
	}
	checkProblem(t, rig.Do(t, "GET", server.URL()+"/v1/agents", c.token, ""), c.status, c.want)
}

// TestGoodTokens makes sure that the bad ones are refused for what is wrong with them.
func TestGoodTokens(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	newTenant(t, server, "acme")
	newTenant(t, server, "evil")
	k := newKeyring(t, server)
	good, now := k.good(), time.Now()
	for name, token := range map[string]rig.Token{
		"HS256":                   good,
		"HS256 without kid":       good.WithHeader("kid", nil),
		"RS256":                   good.Signed("RS256", k.rs).WithHeader("kid", "rs"),
		"RS256 without kid":       good.Signed("RS256", k.rs).WithHeader("kid", nil),
		"ES256":                   good.Signed("ES256", k.es).WithHeader("kid", "es"),
		"EdDSA":                   good.Signed("EdDSA", k.ed).WithHeader("kid", "ed"),
		"sub instead of agent_id": good.With("agent_id", nil).With("sub", "alice"),
		"no iat":                  good.With("iat", nil),
		"no typ":                  good.WithHeader("typ", nil),
		"typ at+jwt":              good.WithHeader("typ", "at+jwt"),
		"jku that nobody follows": good.WithHeader("jku", "http://127.0.0.1:1/keys"),
		"unknown claims":          good.With("color", "blue").With("nested", map[string]any{"a": 1}),
		"nbf now":                 good.With("nbf", now.Unix()),
		"exp with a fraction":     good.With("exp", float64(now.Add(time.Hour).UnixMilli())/1000),
		"channels":                good.With("channels", []string{"general", "team.*", "all.>"}),
		"one channel as a string": good.With("channels", "general"),
		"permissions":             good.With("permissions", map[string]any{"publish": map[string]any{"allow": []string{"channel.>"}, "deny": []string{"channel.secret"}}}),
	} {
		t.Run(name, func(t *testing.T) {
			s := rig.Dial(t, server.Addr(), "/v1/ws?"+rig.Query("token", token.String(), "channel_id", "general"))
			s.Publish("hello")
			if got := s.Message(); got.Text("agent_id") != "alice" || got.Text("tenant_id") != "acme" {
				t.Errorf("received %s", got)
			}
		})
	}
}

// checkProblem expects a refusal over HTTP that says exactly want, in the form that all of them have.
func checkProblem(t *testing.T, res rig.Response, status int, want refusal) {
	t.Helper()
	var p rig.Problem
	if err := json.Unmarshal(res.Body, &p); err != nil {
		t.Errorf("status %d with a body that is no JSON: %q", res.Status, res.Body)
		return
	}
	if res.Status != status || p.Code != want.code || p.Message != want.message {
		t.Errorf("answered by %d %+v\n want %d %+v", res.Status, p, status, want)
	}
	if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		t.Errorf("content type %q", kind)
	}
}
