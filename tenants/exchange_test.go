package tenants

import (
	"bytes"
	"context"
	"testing"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

// TestExchange makes an access token of a login token: it allows what the login token says, and no more, for a short time.
func TestExchange(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	mustCreate(t, r, "acme")
	login := mustVerify(t, r, TokenSpec{
		Tenant: "acme", User: "ann", Login: true, TTL: time.Hour, Channels: []string{"news.*"},
		Permissions: &Permissions{Publish: Rule{Allow: []string{}}, Subscribe: Rule{Deny: []string{"channel.news.secret"}}},
		Claims:      []byte(`{"name":"Ann","plan":{"tier":2}}`),
	})
	token, life, err := r.Exchange(t.Context(), login, 5*time.Minute)
	if err != nil || life != 5*time.Minute {
		t.Fatalf("exchange: life %v, %v", life, err)
	}
	g, err := r.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if g.Login || g.Agent != "ann" || g.Tenant != "acme" {
		t.Errorf("the access token is %+v", g)
	}
	if !bytes.Contains(g.Claims, []byte(`"Ann"`)) || !bytes.Contains(g.Claims, []byte(`{"tier":2}`)) {
		t.Errorf("further claims are %s", g.Claims)
	}
	for subject, want := range map[string]bool{"channel.news.local": true, "channel.news.secret": false, "channel.other": false} {
		if g.MaySubscribe(subject) != want {
			t.Errorf("MaySubscribe(%s) = %t", subject, !want)
		}
	}
	if g.MayPublish("channel.news.local") {
		t.Error("may publish, which the login token did not allow")
	}
	if _, _, err := r.Exchange(t.Context(), g, time.Minute); fault.CodeOf(err) != fault.AuthFailed {
		t.Errorf("exchange of an access token: %v", err)
	}
}

// TestExchangeNeverOutlivesTheLogin asks for more time than the login token has left.
func TestExchangeNeverOutlivesTheLogin(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	mustCreate(t, r, "acme")
	login := mustVerify(t, r, TokenSpec{Tenant: "acme", User: "ann", Login: true, TTL: time.Minute})
	token, life, err := r.Exchange(t.Context(), login, time.Hour)
	if err != nil || life > time.Minute {
		t.Fatalf("life %v, %v", life, err)
	}
	if g, err := r.Verify(t.Context(), token); err != nil || g.Expires.After(login.Expires) {
		t.Errorf("%+v, %v", g, err)
	}
}

// TestExchangeNeedsAKeyToSignWith has a tenant of which the broker holds public keys only.
func TestExchangeNeedsAKeyToSignWith(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	tenant := mustCreate(t, r, "acme")
	login := mustVerify(t, r, TokenSpec{Tenant: "acme", User: "ann", Login: true})
	if _, err := r.RevokeKey(t.Context(), "acme", tenant.Keys[0].Kid); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.Exchange(t.Context(), login, time.Minute)
	if fault.CodeOf(err) != fault.Unavailable || fault.Fix(err) == "" {
		t.Errorf("exchange without a key: %v", err)
	}
}

func mustVerify(t *testing.T, r *Registry, spec TokenSpec) *Grant {
	t.Helper()
	g, err := r.Verify(context.WithoutCancel(t.Context()), mustIssue(t, r, spec))
	if err != nil {
		t.Fatal(err)
	}
	return g
}
