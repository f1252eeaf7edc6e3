package tenants

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/fault"
)

// now is the time in these tests.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// scene is a verifier with the tenants of a test, by hand: no engine, no clock.
type scene struct {
	*verifier
	tenants map[ID]resident
	clock   time.Time
}

func newScene(t testing.TB, cfg Config) *scene {
	t.Helper()
	s := &scene{tenants: map[ID]resident{}, clock: now}
	cfg.Now = func() time.Time { return s.clock }
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s.verifier, err = newVerifier(cfg, func(id ID) (resident, bool) { r, ok := s.tenants[id]; return r, ok }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put makes tenant id have exactly these keys.
func (s *scene) put(t testing.TB, id ID, state State, keys ...Key) {
	t.Helper()
	tenant := Tenant{ID: id, Account: "account-of-" + "x", State: state, Keys: keys, Revision: s.tenants[id].tenant.Revision + 1}
	s.tenants[id] = resident{tenant: tenant, ring: newKeyring(tenant, s.tenants[id].ring, s.cfg, newFetcher(s.cfg), s.log)}
}

func mustKey(t testing.TB, spec KeySpec) Key {
	t.Helper()
	k, err := NewKey(spec, now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sign makes a token by hand: header and claims are JSON, signed as alg says, whatever the header says.
func sign(t testing.TB, header, claims string, k Key) string {
	t.Helper()
	text := encode(header) + "." + encode(claims)
	private, err := k.signingKey()
	if err != nil {
		t.Fatal(err)
	}
	signature, err := jwt.GetSigningMethod(string(k.Alg)).Sign(text, private)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func hs256(text string, secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// claimsJSON is good claims of acme's bot, with changes; a nil value takes a claim away.
func claimsJSON(changes map[string]any) string {
	c := map[string]any{"tenant_id": "acme", "agent_id": "bot", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(c, changes)
	for name, v := range c {
		if v == nil {
			delete(c, name)
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // the changes are this file's
	}
	return string(b)
}

type keys struct{ hs, hs2, es, ed, rs, issued, evil, revoked, ended Key }

// cast makes the keys of the scene: acme has all but evil's, evil has its own; some have the same key ids.
func cast(t testing.TB, s *scene) keys {
	t.Helper()
	k := keys{
		hs:      mustKey(t, KeySpec{Kid: "hs"}),
		hs2:     mustKey(t, KeySpec{Kid: "hs2"}),
		es:      mustKey(t, KeySpec{Kid: "es", Alg: ES256}),
		ed:      mustKey(t, KeySpec{Kid: "ed", Alg: EdDSA}),
		rs:      mustKey(t, KeySpec{Kid: "rs", Alg: RS256}),
		issued:  mustKey(t, KeySpec{Kid: "idp", Alg: EdDSA, Issuer: "https://idp.example", Audience: "parley"}),
		evil:    mustKey(t, KeySpec{Kid: "hs"}),
		revoked: mustKey(t, KeySpec{Kid: "revoked"}),
		ended:   mustKey(t, KeySpec{Kid: "ended", NotAfter: now.Add(time.Second)}),
	}
	revoked := k.revoked
	revoked.Revoked = now
	s.put(t, "acme", Active, k.hs, k.hs2, k.es, k.ed, k.rs, k.issued, revoked, k.ended)
	s.put(t, "evil", Active, k.evil)
	s.put(t, "asleep", Suspended, k.hs)
	return k
}

func TestGoodTokens(t *testing.T) {
	s := newScene(t, Config{})
	k := cast(t, s)
	unix := func(d time.Duration) int64 { return now.Add(d).Unix() }
	tests := []struct {
		name, header, kid string
		key               Key
		claims            map[string]any
	}{
		{"HS256", `{"alg":"HS256","kid":"hs","typ":"JWT"}`, "hs", k.hs, nil},
		{"ES256", `{"alg":"ES256","kid":"es"}`, "es", k.es, nil},
		{"EdDSA", `{"alg":"EdDSA","kid":"ed"}`, "ed", k.ed, nil},
		{"RS256", `{"alg":"RS256","kid":"rs"}`, "rs", k.rs, nil},
		{"no kid, first key", `{"alg":"HS256"}`, "hs", k.hs, nil},
		{"no kid, second key", `{"alg":"HS256"}`, "hs2", k.hs2, nil},
		{"empty kid", `{"alg":"HS256","kid":""}`, "hs2", k.hs2, nil},
		{"access token type", `{"alg":"ES256","typ":"at+JWT"}`, "es", k.es, nil},
		{"headers that mean nothing", `{"alg":"HS256","jku":"https://127.0.0.1:1/","x5u":"https://127.0.0.1:1/","jwk":{"kty":"oct","k":"AAAA"},"x5c":["AAAA"]}`, "hs", k.hs, nil},
		{"sub instead of agent_id", `{"alg":"HS256"}`, "hs", k.hs, map[string]any{"agent_id": nil, "sub": "bot"}},
		{"agent_id and a foreign sub", `{"alg":"HS256"}`, "hs", k.hs, map[string]any{"sub": "auth0|17"}},
		{"unknown claims", `{"alg":"HS256"}`, "hs", k.hs, map[string]any{"x": map[string]any{"y": []int{1}}}},
		{"no iat", `{"alg":"HS256"}`, "hs", k.hs, map[string]any{"iat": nil}},
		{"fractions of seconds", `{"alg":"HS256"}`, "hs", k.hs, map[string]any{"iat": float64(unix(0)) + 0.25, "exp": float64(unix(time.Hour)) + 0.5}},
		{"clock ahead within leeway", `{"alg":"HS256"}`, "hs", k.hs, map[string]any{"iat": unix(9 * time.Second), "nbf": unix(9 * time.Second)}},
		{"about to end", `{"alg":"HS256"}`, "hs", k.hs, map[string]any{"iat": unix(-time.Hour), "exp": unix(time.Second)}},
		{"as long as allowed", `{"alg":"HS256"}`, "hs", k.hs, map[string]any{"exp": unix(30 * 24 * time.Hour)}},
		{"issuer and audience", `{"alg":"EdDSA"}`, "idp", k.issued, map[string]any{"iss": "https://idp.example", "aud": "parley"}},
		{"one audience of several", `{"alg":"EdDSA","kid":"idp"}`, "idp", k.issued, map[string]any{"iss": "https://idp.example", "aud": []string{"x", "parley"}}},
		{"issuer and audience of nobody's interest", `{"alg":"HS256"}`, "hs", k.hs, map[string]any{"iss": "x", "aud": "y"}},
		{"key in its last second", `{"alg":"HS256","kid":"ended"}`, "ended", k.ended, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := s.verify(t.Context(), sign(t, tt.header, claimsJSON(tt.claims), tt.key))
			if err != nil {
				t.Fatal(err)
			}
			if g.Tenant != "acme" || g.Agent != "bot" || g.Kid != tt.kid || g.Login {
				t.Errorf("grant %+v", g)
			}
			if tt.kid == "ended" && !g.Expires.Equal(now.Add(time.Second)) {
				t.Errorf("the grant outlives its key: %s", g.Expires)
			}
		})
	}
}

func TestBadTokens(t *testing.T) {
	s := newScene(t, Config{})
	k := cast(t, s)
	const (
		form     = "The token is not a JWT: three parts of base64url, joined by dots."
		unproven = "The token's signature is not one of a key of its tenant."
		alg      = "The token's algorithm is not HS256, ES256, EdDSA or RS256."
		head     = "The token's header is not a JSON object with alg, kid and typ as strings."
		headTwo  = "A field of the token's header occurs twice."
		kind     = "The token's header says that it is another kind of token."
	)
	good := sign(t, `{"alg":"HS256","kid":"hs"}`, claimsJSON(nil), k.hs)
	parts := strings.Split(good, ".")
	hs := func(changes map[string]any) string { return sign(t, `{"alg":"HS256"}`, claimsJSON(changes), k.hs) }
	headed := func(header string) string { return sign(t, header, claimsJSON(nil), k.hs) }
	unix := func(d time.Duration) int64 { return now.Add(d).Unix() }
	stamp := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	rsaPublic, _ := pem.Decode([]byte(k.rs.PublicKey))
	rsaKey, err := x509.ParsePKIXPublicKey(rsaPublic.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1, err := x509.MarshalPKIXPublicKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	confused := encode(`{"alg":"HS256","kid":"rs"}`) + "." + parts[1]
	confusedNoKid := encode(`{"alg":"HS256"}`) + "." + parts[1]
	flip := func(s string) string { // changes the last but third character: the last may hold only padding bits
		b := []byte(s)
		i := len(b) - 3
		if b[i] == 'A' {
			b[i] = 'B'
		} else {
			b[i] = 'A'
		}
		return string(b)
	}

	tests := []struct {
		name, token string
		code        fault.Code
		message     string
	}{
		// Form.
		{"none at all", "", fault.AuthRequired, "There is no token."},
		{"a word", "hello", fault.AuthFailed, form},
		{"a dot", ".", fault.AuthFailed, form},
		{"two dots", "..", fault.AuthFailed, form},
		{"one part", parts[0], fault.AuthFailed, form},
		{"two parts", parts[0] + "." + parts[1], fault.AuthFailed, form},
		{"four parts", good + ".x", fault.AuthFailed, form},
		{"five parts, as a JWE", good + ".x.y", fault.AuthFailed, form},
		{"all dots", strings.Repeat(".", 4000), fault.AuthFailed, form},
		{"too many dots", strings.Repeat(".", 5000), fault.AuthFailed, "The token is longer than 4096 bytes."},
		{"too long", good + strings.Repeat("A", 4096), fault.AuthFailed, "The token is longer than 4096 bytes."},
		{"empty header", "." + parts[1] + "." + parts[2], fault.AuthFailed, form},
		{"empty claims", parts[0] + ".." + parts[2], fault.AuthFailed, form},
		{"no signature", parts[0] + "." + parts[1] + ".", fault.AuthFailed, unproven},
		{"padding", parts[0] + "=." + parts[1] + "." + parts[2], fault.AuthFailed, form},
		{"standard base64", parts[0] + "." + parts[1] + "." + strings.Repeat("+/", 21) + "A", fault.AuthFailed, form},
		{"line break in the signature", good[:len(good)-4] + "\n" + good[len(good)-4:], fault.AuthFailed, form},
		{"line break in the header", "\r\n" + good, fault.AuthFailed, form},
		{"leading space", " " + good, fault.AuthFailed, form},
		{"trailing space", good + " ", fault.AuthFailed, form},
		{"with its scheme", "Bearer " + good, fault.AuthFailed, form},
		{"NUL", good + "\x00", fault.AuthFailed, form},
		{"percent signs", strings.ReplaceAll(good, ".", "%2E"), fault.AuthFailed, form},
		{"loose padding bits", parts[0] + "." + parts[1] + "." + loosen(parts[2]), fault.AuthFailed, form},

		// Header.
		{"header not JSON", encode("alg") + "." + parts[1] + "." + parts[2], fault.AuthFailed, head},
		{"header a list", headed(`["HS256"]`), fault.AuthFailed, head},
		{"header null", headed(`null`), fault.AuthFailed, alg},
		{"header empty", headed(`{}`), fault.AuthFailed, alg},
		{"header with rubbish behind", headed(`{"alg":"HS256"} x`), fault.AuthFailed, head},
		{"header bad UTF-8", headed("{\"alg\":\"HS256\",\"kid\":\"\xff\"}"), fault.AuthFailed, head},
		{"alg none", encode(`{"alg":"none"}`) + "." + parts[1] + ".", fault.AuthFailed, alg},
		{"alg None", encode(`{"alg":"None"}`) + "." + parts[1] + ".", fault.AuthFailed, alg},
		{"alg NONE, signed", headed(`{"alg":"NONE"}`), fault.AuthFailed, alg},
		{"alg nOnE, kid", encode(`{"alg":"nOnE","kid":"hs"}`) + "." + parts[1] + ".", fault.AuthFailed, alg},
		{"alg in another case", headed(`{"alg":"hs256"}`), fault.AuthFailed, alg},
		{"alg name in another case", headed(`{"ALG":"HS256"}`), fault.AuthFailed, alg},
		{"alg HS384", headed(`{"alg":"HS384"}`), fault.AuthFailed, alg},
		{"alg HS512", headed(`{"alg":"HS512"}`), fault.AuthFailed, alg},
		{"alg RS512", headed(`{"alg":"RS512"}`), fault.AuthFailed, alg},
		{"alg PS256", headed(`{"alg":"PS256"}`), fault.AuthFailed, alg},
		{"alg ES384", headed(`{"alg":"ES384"}`), fault.AuthFailed, alg},
		{"alg a number", headed(`{"alg":256}`), fault.AuthFailed, head},
		{"alg a list", headed(`{"alg":["HS256"]}`), fault.AuthFailed, head},
		{"alg null", headed(`{"alg":null}`), fault.AuthFailed, alg},
		{"alg twice", headed(`{"alg":"HS256","alg":"none"}`), fault.AuthFailed, headTwo},
		{"kid twice", headed(`{"alg":"HS256","kid":"x","kid":"hs"}`), fault.AuthFailed, headTwo},
		{"kid a number", headed(`{"alg":"HS256","kid":1}`), fault.AuthFailed, head},
		{"kid a list", headed(`{"alg":"HS256","kid":["hs"]}`), fault.AuthFailed, head},
		{"kid unknown", headed(`{"alg":"HS256","kid":"nobody"}`), fault.AuthFailed, unproven},
		{"kid a path", headed(`{"alg":"HS256","kid":"../../dev/null"}`), fault.AuthFailed, unproven},
		{"kid SQL", headed(`{"alg":"HS256","kid":"' OR 1=1 --"}`), fault.AuthFailed, unproven},
		{"kid a URL", headed(`{"alg":"HS256","kid":"https://127.0.0.1:1/"}`), fault.AuthFailed, unproven},
		{"kid in another case", headed(`{"alg":"HS256","kid":"HS"}`), fault.AuthFailed, unproven},
		{"kid very long", headed(`{"alg":"HS256","kid":"` + strings.Repeat("k", 257) + `"}`), fault.AuthFailed, "The token's key id is longer than 256 bytes."},
		{"kid of another key", headed(`{"alg":"HS256","kid":"hs2"}`), fault.AuthFailed, unproven},
		{"kid of another algorithm", headed(`{"alg":"HS256","kid":"es"}`), fault.AuthFailed, unproven},
		{"crit", headed(`{"alg":"HS256","crit":["exp"]}`), fault.AuthFailed, "The token's header has critical extensions, which are not supported."},
		{"crit empty", headed(`{"alg":"HS256","crit":[]}`), fault.AuthFailed, "The token's header has critical extensions, which are not supported."},
		{"unencoded payload", headed(`{"alg":"HS256","b64":false,"crit":["b64"]}`), fault.AuthFailed, "The token's header has critical extensions, which are not supported."},
		{"a logout token", headed(`{"alg":"HS256","typ":"logout+jwt"}`), fault.AuthFailed, kind},
		{"a security event", headed(`{"alg":"HS256","typ":"secevent+jwt"}`), fault.AuthFailed, kind},
		{"an account of NATS", headed(`{"alg":"HS256","typ":"ed25519-nkey"}`), fault.AuthFailed, kind},

		// Keys and signatures: one answer for everything.
		{"signature changed", flip(good), fault.AuthFailed, unproven},
		{"signature cut", parts[0] + "." + parts[1] + "." + encode("half a signature"), fault.AuthFailed, unproven},
		{"signature of other claims", parts[0] + "." + encode(claimsJSON(map[string]any{"agent_id": "boss"})) + "." + parts[2], fault.AuthFailed, unproven},
		{"empty secret", hs256(parts[0]+"."+parts[1], nil), fault.AuthFailed, unproven},
		{"public RSA key as a secret, PEM", hs256(confused, []byte(k.rs.PublicKey)), fault.AuthFailed, unproven},
		{"public RSA key as a secret, trimmed", hs256(confused, []byte(strings.TrimSpace(k.rs.PublicKey))), fault.AuthFailed, unproven},
		{"public RSA key as a secret, DER", hs256(confused, pkcs1), fault.AuthFailed, unproven},
		{"public RSA key as a secret, no kid", hs256(confusedNoKid, []byte(k.rs.PublicKey)), fault.AuthFailed, unproven},
		{"public EC key as a secret", hs256(confusedNoKid, []byte(k.es.PublicKey)), fault.AuthFailed, unproven},
		{"RS256 with the kid of a secret", sign(t, `{"alg":"RS256","kid":"hs"}`, claimsJSON(nil), k.rs), fault.AuthFailed, unproven},
		{"EdDSA key, header says ES256", sign(t, `{"alg":"ES256"}`, claimsJSON(nil), k.ed), fault.AuthFailed, unproven},
		{"ES256 signature of zeros", encode(`{"alg":"ES256"}`) + "." + parts[1] + "." + encode(strings.Repeat("\x00", 64)), fault.AuthFailed, unproven},
		{"EdDSA signature of zeros", encode(`{"alg":"EdDSA"}`) + "." + parts[1] + "." + encode(strings.Repeat("\x00", 64)), fault.AuthFailed, unproven},
		{"revoked key", sign(t, `{"alg":"HS256","kid":"revoked"}`, claimsJSON(nil), k.revoked), fault.AuthFailed, unproven},
		{"revoked key, no kid", sign(t, `{"alg":"HS256"}`, claimsJSON(nil), k.revoked), fault.AuthFailed, unproven},
		{"its key inside", headed(`{"alg":"HS256","kid":"x","jwk":{"kty":"oct","kid":"x","k":"` + encode(string(k.hs.material().secret)) + `"}}`), fault.AuthFailed, unproven},
		{"a key elsewhere", headed(`{"alg":"HS256","kid":"x","jku":"https://127.0.0.1:1/jwks"}`), fault.AuthFailed, unproven},

		// Tenants.
		{"unknown tenant", hs(map[string]any{"tenant_id": "nobody"}), fault.AuthFailed, unproven},
		{"unknown tenant, RS256", sign(t, `{"alg":"RS256"}`, claimsJSON(map[string]any{"tenant_id": "nobody"}), k.rs), fault.AuthFailed, unproven},
		{"hostile tenant's key for acme", sign(t, `{"alg":"HS256","kid":"hs"}`, claimsJSON(nil), k.evil), fault.AuthFailed, unproven},
		{"hostile tenant's key for acme, no kid", sign(t, `{"alg":"HS256"}`, claimsJSON(nil), k.evil), fault.AuthFailed, unproven},
		{"acme's key for the hostile tenant", hs(map[string]any{"tenant_id": "evil"}), fault.AuthFailed, unproven},
		{"tenant in another case", hs(map[string]any{"tenant_id": "ACME"}), fault.AuthFailed, unproven},
		{"tenant missing", hs(map[string]any{"tenant_id": nil}), fault.AuthFailed, "The token's claim tenant_id is missing."},
		{"tenants listed", hs(map[string]any{"tenant_id": []string{"acme"}}), fault.AuthFailed, "The token's claim tenant_id is not of the right type."},
		{"suspended tenant, bad signature", sign(t, `{"alg":"HS256"}`, claimsJSON(map[string]any{"tenant_id": "asleep"}), k.evil), fault.AuthFailed, unproven},
		{"suspended tenant", hs(map[string]any{"tenant_id": "asleep"}), fault.TenantSuspended, "The tenant asleep is suspended."},

		// Times, issuer, audience: of tokens that are signed as they should be.
		{"no exp", hs(map[string]any{"exp": nil}), fault.AuthFailed, "The token's claim exp is missing."},
		{"exp null", sign(t, `{"alg":"HS256"}`, `{"tenant_id":"acme","sub":"a","exp":null}`, k.hs), fault.AuthFailed, "The token's claim exp is missing."},
		{"expired", hs(map[string]any{"iat": unix(-time.Hour), "exp": unix(-11 * time.Second)}), fault.TokenExpired, "The token expired at " + stamp(-11*time.Second) + "."},
		{"expired in 1970", hs(map[string]any{"iat": nil, "exp": 0}), fault.TokenExpired, "The token expired at 1970-01-01T00:00:00Z."},
		{"expired, bad signature", flip(hs(map[string]any{"exp": unix(-time.Hour)})), fault.AuthFailed, unproven},
		{"not yet valid", hs(map[string]any{"nbf": unix(time.Minute)}), fault.AuthFailed, "The token is not valid before " + stamp(time.Minute) + "."},
		{"issued in the future", hs(map[string]any{"iat": unix(time.Minute)}), fault.AuthFailed, "The token's claim iat lies in the future."},
		{"ends before it begins", hs(map[string]any{"iat": unix(5 * time.Second), "exp": unix(time.Second)}), fault.AuthFailed, "The token's claim exp lies before iat."},
		{"lives too long", hs(map[string]any{"exp": unix(31 * 24 * time.Hour)}), fault.AuthFailed, "The token lives longer than the 720h0m0s allowed."},
		{"lives too long, without iat", hs(map[string]any{"iat": nil, "exp": unix(31 * 24 * time.Hour)}), fault.AuthFailed, "The token lives longer than the 720h0m0s allowed."},
		{"lives too long, iat long ago", hs(map[string]any{"iat": 0}), fault.AuthFailed, "The token lives longer than the 720h0m0s allowed."},
		{"lives for ever", hs(map[string]any{"exp": int64(1e18)}), fault.AuthFailed, "The token's claim exp is not of the right type."},
		{"issuer missing", sign(t, `{"alg":"EdDSA","kid":"idp"}`, claimsJSON(map[string]any{"aud": "parley"}), k.issued), fault.AuthFailed, "The token's claim iss is not the issuer of the key."},
		{"issuer wrong", sign(t, `{"alg":"EdDSA","kid":"idp"}`, claimsJSON(map[string]any{"iss": "https://idp.example/", "aud": "parley"}), k.issued), fault.AuthFailed, "The token's claim iss is not the issuer of the key."},
		{"audience missing", sign(t, `{"alg":"EdDSA","kid":"idp"}`, claimsJSON(map[string]any{"iss": "https://idp.example"}), k.issued), fault.AuthFailed, "The token's claim aud does not name the audience of the key."},
		{"audience wrong", sign(t, `{"alg":"EdDSA","kid":"idp"}`, claimsJSON(map[string]any{"iss": "https://idp.example", "aud": []string{"x"}}), k.issued), fault.AuthFailed, "The token's claim aud does not name the audience of the key."},
		{"no kid, so the issuer counts", sign(t, `{"alg":"EdDSA"}`, claimsJSON(map[string]any{"iss": "x", "aud": "parley"}), k.issued), fault.AuthFailed, "The token's claim iss is not the issuer of the key."},
		{"malformed channels, well signed", hs(map[string]any{"channels": []string{"a..b"}}), fault.AuthFailed, "The token's claim channels is not a list of channel patterns."},
		{"claims twice, well signed", sign(t, `{"alg":"HS256"}`, `{"tenant_id":"acme","agent_id":"bot","agent_id":"boss","exp":1772370000}`, k.hs), fault.AuthFailed, "A claim of the token occurs twice."},
		{"claims not an object", sign(t, `{"alg":"HS256"}`, `"acme"`, k.hs), fault.AuthFailed, "The token's claims are not a JSON object."},
		{"claims deep", sign(t, `{"alg":"HS256"}`, strings.Repeat("[", 2000), k.hs), fault.AuthFailed, "The token's claims are not a JSON object."},
	}
	if len(tests) < 80 {
		t.Errorf("only %d bad tokens", len(tests))
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // a refusal is not remembered as anything else
				g, err := s.verify(t.Context(), tt.token)
				if g != nil || fault.CodeOf(err) != tt.code || fault.Message(err) != tt.message {
					t.Errorf("%s %q (%v), want %s %q", fault.CodeOf(err), fault.Message(err), err, tt.code, tt.message)
				}
			}
			report := s.explain(t.Context(), tt.token)
			if report.Valid || report.Code != tt.code || report.Message != tt.message {
				t.Errorf("explain: %+v", report)
			}
		})
	}
}

// loosen sets the bits of a segment's last character that mean nothing.
func loosen(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, segment[len(segment)-1])
	return segment[:len(segment)-1] + alphabet[last|1:last|1+1]
}

// What is not the tenant's business must not differ in anything, the fix included.
func TestUnknownTenantLooksLikeBadSignature(t *testing.T) {
	s := newScene(t, Config{})
	k := cast(t, s)
	_, unknown := s.verify(t.Context(), sign(t, `{"alg":"HS256"}`, claimsJSON(map[string]any{"tenant_id": "nobody"}), k.hs))
	_, forged := s.verify(t.Context(), sign(t, `{"alg":"HS256"}`, claimsJSON(nil), k.evil))
	_, noSuchAlg := s.verify(t.Context(), sign(t, `{"alg":"ES256"}`, claimsJSON(map[string]any{"tenant_id": "evil"}), k.es))
	for _, err := range []error{unknown, forged, noSuchAlg} {
		if got := fmt.Sprint(fault.CodeOf(err), fault.Message(err), fault.Fix(err)); got != fmt.Sprint(fault.AuthFailed, errUnproven.Message, errUnproven.Fix) {
			t.Errorf("told apart: %s", got)
		}
	}
}

func TestLoginTokenOpensNothing(t *testing.T) {
	s := newScene(t, Config{})
	k := cast(t, s)
	for _, claims := range []map[string]any{{"typ": "login"}, {"scope": "login"}, {"scope": []string{"x", "login"}}} {
		g, err := s.verify(t.Context(), sign(t, `{"alg":"HS256"}`, claimsJSON(claims), k.hs))
		if err != nil || !g.Login || g.MayPublish("channel.a") || g.MaySubscribe("agent.bot") {
			t.Errorf("%v: %+v, %v", claims, g, err)
		}
	}
}

func TestVerifiedTokensAreRememberedUntilTheyEnd(t *testing.T) {
	s := newScene(t, Config{Leeway: time.Second})
	k := cast(t, s)
	token := sign(t, `{"alg":"HS256"}`, claimsJSON(nil), k.hs)
	first, err := s.verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.verify(t.Context(), token); err != nil || again != first {
		t.Errorf("verified anew: %p %p %v", first, again, err)
	}
	s.clock = now.Add(time.Hour + 2*time.Second)
	if _, err := s.verify(t.Context(), token); fault.CodeOf(err) != fault.TokenExpired {
		t.Errorf("after its end: %v", err)
	}
}

func TestChangedTenantIsNotRemembered(t *testing.T) {
	s := newScene(t, Config{})
	k := cast(t, s)
	token := sign(t, `{"alg":"HS256"}`, claimsJSON(nil), k.hs)
	verify := func() fault.Code { _, err := s.verify(t.Context(), token); return fault.CodeOf(err) }
	if code := verify(); code != "" {
		t.Fatal(code)
	}
	s.put(t, "acme", Suspended, k.hs)
	if code := verify(); code != fault.TenantSuspended {
		t.Errorf("suspended: %q", code)
	}
	s.put(t, "acme", Active, k.hs)
	if code := verify(); code != "" {
		t.Errorf("resumed: %q", code)
	}
	s.put(t, "acme", Active, k.hs2)
	if code := verify(); code != fault.AuthFailed {
		t.Errorf("another key: %q", code)
	}
	delete(s.tenants, "acme")
	if code := verify(); code != fault.AuthFailed {
		t.Errorf("gone: %q", code)
	}
}

func TestSeenTokensAreBounded(t *testing.T) {
	seen := newSeenTokens(100)
	for i := range 1000 {
		seen.put(sha256.Sum256(fmt.Append(nil, i)), seenToken{revision: uint64(i)})
	}
	if n := len(seen.young) + len(seen.old); n > 100 {
		t.Errorf("%d tokens are remembered", n)
	}
	if got, ok := seen.get(sha256.Sum256(fmt.Append(nil, 999))); !ok || got.revision != 999 {
		t.Error("the last one is forgotten")
	}
	if _, ok := seen.get(sha256.Sum256(fmt.Append(nil, 0))); ok {
		t.Error("the first one is not")
	}
}

func TestExplainShowsStepsAndNoSignature(t *testing.T) {
	s := newScene(t, Config{})
	k := cast(t, s)
	token := sign(t, `{"alg":"HS256","kid":"hs"}`, claimsJSON(nil), k.hs)
	report := s.explain(t.Context(), token)
	if !report.Valid || len(report.Steps) != 6 || string(report.Header) != `{"alg":"HS256","kid":"hs"}` {
		t.Errorf("%+v", report)
	}
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), token[strings.LastIndexByte(token, '.')+1:]) {
		t.Error("the report holds the signature")
	}
	report = s.explain(t.Context(), sign(t, `{"alg":"HS256","kid":"gone"}`, claimsJSON(nil), k.hs))
	if report.Valid || !strings.Contains(report.Reason, `no live key for HS256 "gone"`) {
		t.Errorf("%+v", report)
	}
}

func BenchmarkVerify(b *testing.B) {
	s := newScene(b, Config{})
	k := cast(b, s)
	for _, key := range []Key{k.hs, k.es, k.ed, k.rs} {
		token := sign(b, fmt.Sprintf(`{"alg":%q,"kid":%q}`, key.Alg, key.Kid), claimsJSON(nil), key)
		b.Run(string(key.Alg), func(b *testing.B) {
			for b.Loop() {
				if _, _, _, err := s.check(b.Context(), token, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	token := sign(b, `{"alg":"HS256"}`, claimsJSON(nil), k.hs)
	b.Run("remembered", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
}
