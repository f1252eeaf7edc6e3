// Package idp has tokens of a real OpenID Connect provider verified.
package idp

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"parley/broker"
	"parley/broker/brokertest"
	"parley/internal/fault"
	"parley/tenants"
	"parley/test/rig"
)

// identityProvider is a real OpenID Connect provider, oidc-provider from npm, in a process of its own.
type identityProvider struct {
	t      *testing.T
	issuer string
	roots  *x509.CertPool
	client *http.Client
	stdin  io.Writer
	lines  *bufio.Scanner
}

func startIdentityProvider(t *testing.T) *identityProvider {
	t.Helper()
	key, cert := loopbackCertificate(t)
	p := &identityProvider{t: t, roots: x509.NewCertPool()}
	p.roots.AppendCertsFromPEM(cert)
	p.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
	cmd := exec.Command("node", "../clients/oidc/provider.js", rig.WriteFile(t, "key.pem", key), rig.WriteFile(t, "cert.pem", cert))
	var said bytes.Buffer
	cmd.Stderr = &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start node: %v; run `make deps`", err)
	}
	t.Cleanup(func() {
		_ = stdin.Close() // which ends it
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("the provider: %v\n%s", err, &said)
		}
	})
	p.stdin, p.lines = stdin, bufio.NewScanner(stdout)
	p.issuer = p.answer("ready ")
	return p
}

// answer reads until the provider says what begins with mark, and returns the rest.
func (p *identityProvider) answer(mark string) string {
	p.t.Helper()
	for p.lines.Scan() {
		if rest, ok := strings.CutPrefix(p.lines.Text(), mark); ok {
			return rest
		}
	}
	p.t.Fatalf("the provider ended before it said %q; run `make deps`", mark)
	return ""
}

// do has the provider change its keys.
func (p *identityProvider) do(command string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, command+"\n"); err != nil {
		p.t.Fatal(err)
	}
	p.answer("done ")
}

// discover returns where the provider says that its keys are.
func (p *identityProvider) discover() string {
	p.t.Helper()
	resp, err := p.client.Get(p.issuer + "/.well-known/openid-configuration")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var about struct {
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&about); err != nil {
		p.t.Fatal(err)
	}
	return about.JWKSURI
}

// token has the provider issue an access token.
func (p *identityProvider) token() string {
	p.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"backend"}, "client_secret": {"of-the-test"}}
	resp, err := p.client.PostForm(p.issuer+"/token", form)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil || strings.Count(answer.AccessToken, ".") != 2 {
		p.t.Fatalf("no token that is a JWT: %s, %v", body, err)
	}
	return answer.AccessToken
}

// loopbackCertificate makes a certificate for 127.0.0.1 that vouches for itself.
func loopbackCertificate(t *testing.T) (keyPEM, certPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "provider"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// TestIdentityProvider takes tokens of a real provider, over a rotation of its keys. The registry's clock is the test's,
// since a withdrawn key is found out a quarter of an hour later.
func TestIdentityProvider(t *testing.T) {
	p := startIdentityProvider(t)
	n := brokertest.Start(t, broker.Config{Listen: broker.ListenOff})
	ahead := time.Duration(0)
	registry, err := tenants.Open(t.Context(), n.Engine, tenants.Config{
		AllowPrivateJWKS: true, JWKSRoots: p.roots, Now: func() time.Time { return time.Now().Add(ahead) },
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.Run(registry.Run)
	ctx := t.Context()
	if _, _, err := registry.Create(ctx, tenants.Spec{ID: "acme"}); err != nil {
		t.Fatal(err)
	}
	_, _, err = registry.AddKey(ctx, "acme", tenants.KeySpec{
		Kid: "idp", Alg: tenants.ES256, JWKSURL: p.discover(), Issuer: p.issuer, Audience: "https://parley.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := func(what, token string, good bool) {
		t.Helper()
		g, err := registry.Verify(ctx, token)
		switch {
		case good && (err != nil || g.Agent != "alice" || g.Kid != "idp"):
			t.Errorf("%s: %+v, %v", what, g, err)
		case !good && fault.CodeOf(err) != fault.AuthFailed:
			t.Errorf("%s: %+v, %v", what, g, err)
		}
	}

	first := p.token()
	want("a token", first, true)
	want("a token with another payload", forged(t, first), false)

	p.do("rotate")
	second := p.token()
	want("a new key within a minute of the last fetch", second, false)
	ahead = 61 * time.Second
	want("a new key", second, true)
	want("the key before it, still published", first, true)

	p.do("retire")
	want("a key withdrawn just now", first, true) // until the set is fetched again
	ahead += 16 * time.Minute
	want("a key withdrawn a quarter of an hour ago", first, false)
	want("the key that has replaced it", second, true)
	want("a new token of that", p.token(), true)
}

// forged says root where the token says alice.
func forged(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(payload), `"alice"`, `"root"`, 1)
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(changed)) + "." + parts[2]
}
