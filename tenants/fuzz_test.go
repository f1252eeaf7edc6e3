package tenants

import (
	"testing"
	"time"

	"parley/internal/fault"
)

// FuzzVerify looks for tokens that panic, that answer with a code of no contract, or that are believed though their
// signature was not made with the tenant's key.
func FuzzVerify(f *testing.F) {
	s := newScene(f, Config{})
	k := cast(f, s)
	for _, token := range []string{
		"", "..", "a.b.c", sign(f, `{"alg":"HS256","kid":"hs"}`, claimsJSON(nil), k.hs), sign(f, `{"alg":"ES256"}`, claimsJSON(nil), k.es),
		encode(`{"alg":"none"}`) + "." + encode(claimsJSON(nil)) + ".", sign(f, `{"alg":"HS256","jku":"https://127.0.0.1:1"}`, claimsJSON(nil), k.evil),
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		g, err := s.verify(t.Context(), token)
		switch code := fault.CodeOf(err); {
		case err == nil: // only the seeds are signed; a mutation that is believed is a forgery
			if g.Tenant != "acme" || g.Agent != "bot" {
				t.Errorf("%q became %+v", token, g)
			}
		case err != nil && code != fault.AuthRequired && code != fault.AuthFailed && code != fault.TokenExpired && code != fault.TenantSuspended:
			t.Errorf("%q: %v", token, err)
		}
	})
}

// FuzzAPIKey looks for texts that panic, or that are taken for a key that nobody has.
func FuzzAPIKey(f *testing.F) {
	key, text, err := newAPIKey("ac_me", APIKeySpec{}, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{text, "", "parley_", "parley__", "parley___", "parley_a_b_c", key.Prefix, text + "_", text[1:]} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tenant, id, ok := cutAPIKey(s)
		if ok && apiKeyMark+string(tenant)+"_"+id+"_" != s[:len(apiKeyMark)+len(tenant)+len(id)+2] {
			t.Errorf("%q was cut into %q and %q", s, tenant, id)
		}
		if fits := key.sum.Fits(s); fits != (s == text) {
			t.Errorf("%q fits: %t", s, fits)
		}
	})
}

// FuzzClaims feeds claims that are signed as they should be, so that everything behind the signature is reached.
func FuzzClaims(f *testing.F) {
	s := newScene(f, Config{})
	k := cast(f, s)
	for _, claims := range []string{
		claimsJSON(nil), `{}`, `null`, claimsJSON(map[string]any{"channels": []string{"a.*", ">"}, "scope": "x login"}),
		claimsJSON(map[string]any{"permissions": map[string]any{"publish": map[string]any{"allow": []string{"channel.>"}, "deny": "agent.*"}}}),
	} {
		f.Add(claims)
	}
	f.Fuzz(func(t *testing.T, claims string) {
		g, err := s.verify(t.Context(), sign(t, `{"alg":"HS256","kid":"hs"}`, claims, k.hs))
		if err != nil {
			if code := fault.CodeOf(err); code != fault.AuthFailed && code != fault.TokenExpired && code != fault.TenantSuspended {
				t.Errorf("%q: %v", claims, err)
			}
			return
		}
		if _, err := ParseID(string(g.Tenant)); err != nil || g.Tenant != "acme" {
			t.Errorf("%q: tenant %q", claims, g.Tenant)
		}
		if !g.Login && !g.MaySubscribe("agent."+string(g.Agent)) {
			t.Errorf("%q: no way to the own inbox", claims)
		}
		for _, subject := range []string{"channel.*", "$SYS.x", "agent.>", "_INBOX.x"} {
			if g.MayPublish(subject) || g.MaySubscribe(subject) {
				t.Errorf("%q: reaches %s", claims, subject)
			}
		}
	})
}

// FuzzHeader does the same for headers.
func FuzzHeader(f *testing.F) {
	s := newScene(f, Config{})
	k := cast(f, s)
	for _, header := range []string{`{"alg":"HS256","kid":"hs"}`, `{"alg":"none"}`, `{"alg":"HS256","crit":["exp"]}`, `{"alg":"HS256","kid":"rs","jwk":{}}`} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		g, err := s.verify(t.Context(), sign(t, header, claimsJSON(nil), k.hs))
		if err == nil && g.Kid != "hs" {
			t.Errorf("%q: signed by %q", header, g.Kid)
		}
		if h, decodeErr := decodeHeader([]byte(header)); err == nil && (decodeErr != nil || h.Alg != HS256) {
			t.Errorf("%q: taken for %+v", header, h)
		}
	})
}
