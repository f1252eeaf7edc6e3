package tenants

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"

	"parley/internal/fault"
)

// provider is an identity provider on the loopback interface, with a real certificate of its own authority.
type provider struct {
	*httptest.Server
	requests atomic.Int32
	answer   atomic.Value // http.HandlerFunc
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	p.serve(http.NotFound)
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		p.answer.Load().(http.HandlerFunc)(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) serve(f http.HandlerFunc) { p.answer.Store(f) }

func (p *provider) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Certificate())
	return pool
}

// publish makes p serve these keys, by key id.
func (p *provider) publish(t *testing.T, keys map[string]any) {
	t.Helper()
	var set jwkset.JWKSMarshal
	for kid, key := range keys {
		_, secret := key.([]byte)
		jwk, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{
			Metadata: jwkset.JWKMetadataOptions{KID: kid}, Marshal: jwkset.JWKMarshalOptions{Private: secret},
		})
		if err != nil {
			t.Fatal(err)
		}
		set.Keys = append(set.Keys, jwk.Marshal())
	}
	body, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	p.serve(func(w http.ResponseWriter, _ *http.Request) { w.Write(body) })
}

// external is a key whose private half only the identity provider has.
func external(t *testing.T, kid string) (Key, crypto.PublicKey) {
	t.Helper()
	k := mustKey(t, KeySpec{Kid: "x", Alg: ES256})
	public, err := k.verifyKey()
	if err != nil {
		t.Fatal(err)
	}
	k.Kid = kid
	return k, public
}

func signAs(t *testing.T, k Key) string {
	t.Helper()
	return sign(t, `{"alg":"`+string(k.Alg)+`","kid":"`+k.Kid+`"}`, claimsJSON(nil), k)
}

// providerScene is a scene in which acme's tokens come from an identity provider.
func providerScene(t *testing.T) (*scene, *provider) {
	t.Helper()
	p := newProvider(t)
	s := newScene(t, Config{AllowPrivateJWKS: true, JWKSRoots: p.roots()})
	s.put(t, "acme", Active, mustKey(t, KeySpec{Kid: "idp", Alg: ES256, JWKSURL: p.URL + "/keys"}))
	return s, p
}

func (s *scene) code(t *testing.T, token string) fault.Code {
	t.Helper()
	_, err := s.verify(t.Context(), token)
	return fault.CodeOf(err)
}

func TestKeySetOfIdentityProvider(t *testing.T) {
	s, p := providerScene(t)
	k1, pub1 := external(t, "one")
	k2, pub2 := external(t, "two")
	p.publish(t, map[string]any{"one": pub1})

	if g, err := s.verify(t.Context(), signAs(t, k1)); err != nil || g.Kid != "idp" {
		t.Fatalf("%+v, %v", g, err)
	}
	noKid := sign(t, `{"alg":"ES256"}`, claimsJSON(nil), k1)
	if code := s.code(t, noKid); code != "" {
		t.Errorf("without kid: %s", code)
	}

	// A key that is rotated in is found, but not by asking more than once a minute.
	p.publish(t, map[string]any{"one": pub1, "two": pub2})
	before := p.requests.Load()
	for range 20 {
		if code := s.code(t, signAs(t, k2)); code != fault.AuthFailed {
			t.Errorf("within the minute: %q", code)
		}
	}
	if n := p.requests.Load() - before; n != 0 {
		t.Errorf("%d fetches within the minute", n)
	}
	s.clock = s.clock.Add(61 * time.Second)
	if code := s.code(t, signAs(t, k2)); code != "" {
		t.Errorf("after the minute: %s", code)
	}

	// One that is withdrawn stops working, although nothing asks for it.
	p.publish(t, map[string]any{"two": pub2})
	s.clock = s.clock.Add(keySetFresh + time.Second)
	if code := s.code(t, signAs(t, k1)); code != fault.AuthFailed {
		t.Errorf("withdrawn: %q", code)
	}

	// The provider being away does no harm for a day.
	p.serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	fresh := func() string {
		return sign(t, `{"alg":"ES256","kid":"two"}`, claimsJSON(map[string]any{"iat": s.clock.Unix(), "exp": s.clock.Add(time.Hour).Unix()}), k2)
	}
	s.clock = s.clock.Add(20 * time.Hour)
	if code := s.code(t, fresh()); code != "" {
		t.Errorf("provider away: %s", code)
	}
	s.clock = s.clock.Add(5 * time.Hour)
	if code := s.code(t, fresh()); code != fault.AuthFailed {
		t.Errorf("provider away for too long: %q", code)
	}
}

func TestKeySetIsFetchedOnceForAll(t *testing.T) {
	s, p := providerScene(t)
	k, pub := external(t, "one")
	p.publish(t, map[string]any{"one": pub})
	token := signAs(t, k)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := s.verify(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := p.requests.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// Two tenants with one provider and equal key ids share nothing.
func TestKeySetsAreNotShared(t *testing.T) {
	s, p := providerScene(t)
	k, pub := external(t, "one")
	p.publish(t, map[string]any{"one": pub})
	other := newProvider(t)
	evil, evilPub := external(t, "one")
	other.publish(t, map[string]any{"one": evilPub})
	s.put(t, "evil", Active, mustKey(t, KeySpec{Kid: "idp", Alg: ES256, JWKSURL: p.URL + "/evil"}))
	evilClaims := claimsJSON(map[string]any{"tenant_id": "evil"})
	if code := s.code(t, signAs(t, k)); code != "" {
		t.Error(code)
	}
	if code := s.code(t, signAs(t, evil)); code != fault.AuthFailed {
		t.Errorf("the hostile tenant's key opens acme: %q", code)
	}
	if code := s.code(t, sign(t, `{"alg":"ES256","kid":"one"}`, evilClaims, evil)); code != fault.AuthFailed {
		t.Errorf("a key of nobody's: %q", code)
	}
}

func TestKeySetsSurviveChangesOfTheTenant(t *testing.T) {
	s, p := providerScene(t)
	k, pub := external(t, "one")
	p.publish(t, map[string]any{"one": pub})
	if code := s.code(t, signAs(t, k)); code != "" {
		t.Fatal(code)
	}
	keys := append([]Key{mustKey(t, KeySpec{Kid: "more"})}, s.tenants["acme"].tenant.Keys...)
	s.put(t, "acme", Active, keys...)
	if code := s.code(t, signAs(t, k)); code != "" {
		t.Error(code)
	}
	if n := p.requests.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestBadKeySets(t *testing.T) {
	victim := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the victim was reached") }))
	defer victim.Close()
	k, pub := external(t, "one")
	secret := mustKey(t, KeySpec{Kid: "one"})
	small, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		set   map[string]any
		serve http.HandlerFunc
		token string
	}{
		{name: "empty", set: map[string]any{}},
		{name: "wrong kid", set: map[string]any{"two": pub}},
		{name: "wrong curve", set: map[string]any{"one": &small.PublicKey}},
		{name: "wrong kind", set: map[string]any{"one": edwards}},
		{name: "a secret", set: map[string]any{"one": secret.material().secret}},
		{name: "a secret, token signed with it", set: map[string]any{"one": secret.material().secret}, token: signAs(t, secret)},
		{name: "not JSON", serve: func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }},
		{name: "not found", serve: http.NotFound},
		{name: "redirect within", serve: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }},
		{name: "redirect to a victim", serve: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, victim.URL, http.StatusTemporaryRedirect)
		}},
		{name: "certificate of a victim", serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"one","x5u":"` + victim.URL + `"}]}`))
		}},
		{name: "huge", serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"keys":[],"x":"` + strings.Repeat("x", 2*maxKeySetBytes) + `"}`))
		}},
		{name: "slow", serve: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(t)
			s := newScene(t, Config{AllowPrivateJWKS: true, JWKSRoots: p.roots()})
			fetch := newFetcher(s.cfg)
			if tt.name == "slow" {
				fetch.client.Timeout = 50 * time.Millisecond
			}
			tenant := Tenant{ID: "acme", State: Active, Revision: 1, Keys: []Key{mustKey(t, KeySpec{Alg: ES256, JWKSURL: p.URL})}}
			s.tenants["acme"] = resident{tenant: tenant, ring: newKeyring(tenant, nil, s.cfg, fetch, s.log)}
			if tt.set != nil {
				p.publish(t, tt.set)
			} else {
				p.serve(tt.serve)
			}
			token := tt.token
			if token == "" {
				token = signAs(t, k)
			}
			for range 3 {
				if _, err := s.verify(t.Context(), token); fault.Message(err) != errUnproven.Message {
					t.Errorf("%v", err)
				}
			}
			if n := p.requests.Load(); n > 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// The default refuses what is not public, also when a name leads there: the address is checked when it is dialled.
func TestPrivateAddressesAreRefused(t *testing.T) {
	p := newProvider(t)
	_, err := newFetcher(Config{JWKSRoots: p.roots()}).get(context.Background(), strings.Replace(p.URL, "127.0.0.1", "localhost", 1))
	if err == nil || !strings.Contains(err.Error(), errPrivateAddress.Error()) {
		t.Errorf("localhost: %v", err)
	}
	_, err = newFetcher(Config{JWKSRoots: p.roots()}).get(context.Background(), p.URL)
	if err == nil || !strings.Contains(err.Error(), errPrivateAddress.Error()) {
		t.Errorf("127.0.0.1: %v", err)
	}
	_, err = newFetcher(Config{AllowPrivateJWKS: true}).get(context.Background(), strings.Replace(p.URL, "https", "http", 1))
	if err == nil || !strings.Contains(err.Error(), errNotHTTPS.Error()) {
		t.Errorf("http: %v", err)
	}
	if n := p.requests.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestPublicAddresses(t *testing.T) {
	for _, a := range []string{"1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:1.1.1.1", "172.32.0.1", "100.128.0.1"} {
		if !public(netip.MustParseAddr(a)) {
			t.Errorf("%s is refused", a)
		}
	}
	for _, a := range []string{
		"127.0.0.1", "127.255.255.255", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "0.0.0.0", "0.1.2.3",
		"100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254",
		"ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "fec0::1", "100::1",
	} {
		if public(netip.MustParseAddr(a)) {
			t.Errorf("%s is let through", a)
		}
	}
}
