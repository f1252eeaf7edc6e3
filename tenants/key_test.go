package tenants

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"

	"parley/internal/fault"
)

func pemOf(t *testing.T, kind string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestNewKeyRefuses(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weakDER, err := x509.MarshalPKIXPublicKey(&weak.PublicKey)
	weakPEM := pemOf(t, "PUBLIC KEY", weakDER, err)
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curveDER, err := x509.MarshalPKIXPublicKey(&curve.PublicKey)
	curvePEM := pemOf(t, "PUBLIC KEY", curveDER, err)
	pair := mustKey(t, KeySpec{Alg: ES256})
	privatePEM := pemOf(t, "PRIVATE KEY", pair.material().private, nil)
	good := []byte(pair.PublicKey)
	secret := bytes.Repeat([]byte("s"), 32)
	symmetric, err := jwkset.NewJWKFromKey(secret, jwkset.JWKOptions{Marshal: jwkset.JWKMarshalOptions{Private: true}})
	if err != nil {
		t.Fatal(err)
	}
	symmetricJWK, err := json.Marshal(symmetric.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	const url = "A JWKS URL begins with https:// and holds neither a password nor a fragment."
	tests := []struct {
		name    string
		spec    KeySpec
		message string
	}{
		{"unknown algorithm", KeySpec{Alg: "HS512"}, "Keys are of the algorithm HS256, ES256, EdDSA or RS256."},
		{"alg none", KeySpec{Alg: "none"}, "Keys are of the algorithm HS256, ES256, EdDSA or RS256."},
		{"short secret", KeySpec{Secret: secret[:31]}, "The secret of an HS256 key is 32 to 1024 bytes long."},
		{"empty secret", KeySpec{Secret: []byte{}}, "The secret of an HS256 key is 32 to 1024 bytes long."},
		{"long secret", KeySpec{Secret: bytes.Repeat(secret, 33)}, "The secret of an HS256 key is 32 to 1024 bytes long."},
		{"secret for RS256", KeySpec{Alg: RS256, Secret: secret}, "A shared secret is for HS256; RS256 needs a public key."},
		{"public key for HS256", KeySpec{Alg: HS256, PublicKey: good}, "HS256 is verified with a shared secret, never with a public key."},
		{"JWKS for HS256", KeySpec{JWKSURL: "https://idp.example/"}, "HS256 is verified with a shared secret, never with a public key."},
		{"key of another algorithm", KeySpec{Alg: RS256, PublicKey: good}, "The key is not one for RS256."},
		{"another curve", KeySpec{Alg: ES256, PublicKey: curvePEM}, "The key is not one for ES256."},
		{"weak RSA", KeySpec{Alg: RS256, PublicKey: weakPEM}, "An RSA key is of 2048 to 8192 bits."},
		{"private key", KeySpec{Alg: ES256, PublicKey: privatePEM}, "The PEM block is not a PUBLIC KEY."},
		{"two keys", KeySpec{Alg: ES256, PublicKey: append(bytes.Clone(good), good...)}, "The key is neither a JWK nor one PEM block."},
		{"rubbish", KeySpec{Alg: ES256, PublicKey: []byte("rubbish")}, "The key is neither a JWK nor one PEM block."},
		{"empty", KeySpec{Alg: ES256, PublicKey: []byte{}}, "The key is neither a JWK nor one PEM block."},
		{"rubbish in PEM", KeySpec{Alg: ES256, PublicKey: pemOf(t, "PUBLIC KEY", []byte("x"), nil)}, "The PEM block is not a well-formed public key."},
		{"huge", KeySpec{Alg: ES256, PublicKey: make([]byte, maxPublicBytes+1)}, "A public key is at most 16384 bytes long."},
		{"JWK rubbish", KeySpec{Alg: ES256, PublicKey: []byte(`{}`)}, "The key is not a public JWK."},
		{"JWK secret", KeySpec{Alg: ES256, PublicKey: symmetricJWK}, "The key is not a public JWK."},
		{"two kinds", KeySpec{Alg: ES256, PublicKey: good, JWKSURL: "https://idp.example/"}, "A key is a secret, a public key or a JWKS URL: only one of them."},
		{"http", KeySpec{Alg: ES256, JWKSURL: "http://idp.example/"}, url},
		{"file", KeySpec{Alg: ES256, JWKSURL: "file:///etc/passwd"}, url},
		{"no host", KeySpec{Alg: ES256, JWKSURL: "https:///keys"}, url},
		{"password", KeySpec{Alg: ES256, JWKSURL: "https://a:b@idp.example/"}, url},
		{"kid with a space", KeySpec{Kid: "a b"}, "A key id is 1 to 64 characters of A-Z a-z 0-9 . _ and -."},
		{"kid too long", KeySpec{Kid: strings.Repeat("k", 65)}, "A key id is 1 to 64 characters of A-Z a-z 0-9 . _ and -."},
		{"ended", KeySpec{NotAfter: now}, "The key would have expired already."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewKey(tt.spec, now)
			if fault.CodeOf(err) != fault.InvalidFormat || fault.Message(err) != tt.message {
				t.Errorf("%s %q (%v), want %q", fault.CodeOf(err), fault.Message(err), err, tt.message)
			}
		})
	}
}

func TestPublicKeyAsJWK(t *testing.T) {
	for _, alg := range []Alg{ES256, EdDSA, RS256} {
		pair := mustKey(t, KeySpec{Alg: alg})
		public, err := pair.verifyKey()
		if err != nil {
			t.Fatal(err)
		}
		jwk, err := jwkset.NewJWKFromKey(public, jwkset.JWKOptions{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(jwk.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		if k := mustKey(t, KeySpec{Alg: alg, PublicKey: text}); k.PublicKey != pair.PublicKey || k.CanSign {
			t.Errorf("%s: %+v", alg, k)
		}
	}
}

// However a tenant is printed, its secrets are not in it.
func TestSecretsDoNotPrint(t *testing.T) {
	secret := []byte("0123456789-secret-secret-secret-9876543210")
	pair := mustKey(t, KeySpec{Alg: ES256})
	tenant := Tenant{ID: "acme", Keys: []Key{mustKey(t, KeySpec{Secret: secret}), pair}}
	var out bytes.Buffer
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		log.Info("x", "tenant", tenant, "key", tenant.Keys[0], "keys", tenant.Keys, "pointer", &tenant)
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, form, tenant)
		fmt.Fprintf(&out, form, tenant.Keys)
	}
	if err := json.NewEncoder(&out).Encode(tenant); err != nil {
		t.Fatal(err)
	}
	for _, hidden := range [][]byte{secret, pair.material().private} {
		for _, form := range []string{"%s", "%x", "%d", "%v", "%#v"} {
			text := strings.Trim(fmt.Sprintf(form, hidden), "[]")
			if strings.Contains(out.String(), text) {
				t.Errorf("a secret shows as %s", form)
			}
		}
		if b, _ := json.Marshal(hidden); strings.Contains(out.String(), strings.Trim(string(b), `"`)) {
			t.Error("a secret shows as base64")
		}
	}
}

func TestIssuedTokensAreGood(t *testing.T) {
	s := newScene(t, Config{})
	k := cast(t, s)
	acme := s.tenants["acme"]
	for _, kid := range []string{"hs", "es", "ed", "rs", "idp"} {
		token, err := issue(acme, TokenSpec{Tenant: "acme", Agent: "bot", Kid: kid, Channels: []string{"a.*"}, Permissions: &Permissions{Publish: Rule{Deny: []string{"channel.a.x"}}}}, s.cfg)
		if err != nil {
			t.Fatal(err)
		}
		g, err := s.verify(t.Context(), token)
		if err != nil {
			t.Fatalf("%s: %v", kid, err)
		}
		if g.Agent != "bot" || g.Kid != kid || len(g.JTI) != 36 || !g.Expires.Equal(now.Add(time.Hour)) || g.MayPublish("channel.a.x") || !g.MayPublish("channel.a.y") || g.MayPublish("channel.b") {
			t.Errorf("%s: %+v", kid, g)
		}
	}
	token, err := issue(acme, TokenSpec{Tenant: "acme", User: "ann", Login: true, TTL: time.Minute}, s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := s.verify(t.Context(), token); err != nil || g.Agent != "ann" || !g.Login || g.Kid != k.ended.Kid || !g.Expires.Equal(k.ended.NotAfter) {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestIssueRefuses(t *testing.T) {
	s := newScene(t, Config{})
	cast(t, s)
	acme := s.tenants["acme"]
	public := mustKey(t, KeySpec{Kid: "public", Alg: ES256, PublicKey: []byte(mustKey(t, KeySpec{Alg: ES256}).PublicKey)})
	acme.tenant.Keys = append(acme.tenant.Keys, public)
	tests := []struct {
		name string
		spec TokenSpec
		code fault.Code
	}{
		{"nobody", TokenSpec{}, fault.InvalidFormat},
		{"two", TokenSpec{Agent: "a", User: "b"}, fault.InvalidFormat},
		{"bad agent", TokenSpec{Agent: "a.b"}, fault.InvalidFormat},
		{"bad channel", TokenSpec{Agent: "a", Channels: []string{"a..b"}}, fault.InvalidFormat},
		{"too many channels", TokenSpec{Agent: "a", Channels: strings.Split(strings.Repeat("channel,", 1000)+"x", ",")}, fault.InvalidFormat},
		{"bad permission", TokenSpec{Agent: "a", Permissions: &Permissions{Publish: Rule{Deny: []string{"x.y"}}}}, fault.InvalidFormat},
		{"too long", TokenSpec{Agent: "a", TTL: 31 * 24 * time.Hour}, fault.InvalidFormat},
		{"too short", TokenSpec{Agent: "a", TTL: time.Millisecond}, fault.InvalidFormat},
		{"negative", TokenSpec{Agent: "a", TTL: -time.Hour}, fault.InvalidFormat},
		{"unknown key", TokenSpec{Agent: "a", Kid: "x"}, fault.NotFound},
		{"revoked key", TokenSpec{Agent: "a", Kid: "revoked"}, fault.NotFound},
		{"public key", TokenSpec{Agent: "a", Kid: "public"}, fault.InvalidFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if token, err := issue(acme, tt.spec, s.cfg); token != "" && err == nil || fault.CodeOf(err) != tt.code {
				t.Errorf("%q, %v", token, err)
			}
		})
	}
}
