package tenants

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

func mustAPIKey(t *testing.T, r *Registry, id ID, spec APIKeySpec) (APIKey, string) {
	t.Helper()
	key, text, err := r.CreateAPIKey(t.Context(), id, spec)
	if err != nil {
		t.Fatal(err)
	}
	return key, text
}

func TestAPIKeys(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	ctx := t.Context()
	acme := mustCreate(t, r, "ac_me-1")
	mustCreate(t, r, "evil")
	key, text := mustAPIKey(t, r, "ac_me-1", APIKeySpec{Name: "shop"})
	if !strings.HasPrefix(text, key.Prefix+"_") || !IsAPIKey(text) || key.Name != "shop" || len(key.Scopes) != 3 {
		t.Errorf("%+v: %q", key, text)
	}
	g, err := r.VerifyAPIKey(text)
	if err != nil || g.Tenant != "ac_me-1" || g.Account != acme.Account || g.APIKey != key.ID || g.Agent != "" || !g.Expires.IsZero() {
		t.Fatalf("%+v, %v", g, err)
	}
	if err := r.Recheck(g); err != nil {
		t.Errorf("recheck: %v", err)
	}
	if g.MayPublish("channel.news") || g.MaySubscribe("channel.news") || g.MayPublish("agent.bob") || g.MaySubscribe("agent.") {
		t.Error("an API key reaches channels or agents")
	}
	if _, err := r.Verify(ctx, text); fault.CodeOf(err) != fault.AuthFailed {
		t.Errorf("taken for a token: %v", err)
	}
	if _, err := r.VerifyAPIKey(mustIssue(t, r, TokenSpec{Tenant: "ac_me-1", User: "ann"})); fault.CodeOf(err) != fault.AuthFailed {
		t.Errorf("a token taken for an API key: %v", err)
	}

	if _, err := r.RevokeAPIKey(ctx, "evil", key.ID); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("revoked by another tenant: %v", err)
	}
	if _, err := r.Suspend(ctx, "ac_me-1"); err != nil {
		t.Fatal(err)
	}
	_, err = r.VerifyAPIKey(text)
	wantCode(t, "while suspended", err, fault.TenantSuspended)
	wantCode(t, "recheck while suspended", r.Recheck(g), fault.TenantSuspended)
	if _, err := r.Resume(ctx, "ac_me-1"); err != nil {
		t.Fatal(err)
	}
	other, otherText := mustAPIKey(t, r, "ac_me-1", APIKeySpec{})
	revoked, err := r.RevokeAPIKey(ctx, "ac_me-1", key.ID)
	if err != nil || revoked.Revoked.IsZero() || revoked.sum != (APIKey{}).sum {
		t.Fatalf("%+v, %v", revoked, err)
	}
	_, err = r.VerifyAPIKey(text)
	wantCode(t, "revoked", err, fault.AuthFailed)
	wantCode(t, "recheck of a revoked one", r.Recheck(g), fault.AuthFailed)
	if again, err := r.RevokeAPIKey(ctx, "ac_me-1", key.ID); err != nil || !again.Revoked.Equal(revoked.Revoked) {
		t.Errorf("revoked again: %+v, %v", again, err)
	}
	if g, err := r.VerifyAPIKey(otherText); err != nil || g.APIKey != other.ID {
		t.Errorf("the other key: %+v, %v", g, err)
	}

	// A deleted tenant's keys are not those of the next one with its name.
	if err := r.Delete(ctx, "ac_me-1"); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, r, "ac_me-1")
	_, err = r.VerifyAPIKey(otherText)
	wantCode(t, "of a deleted tenant", err, fault.AuthFailed)
}

func TestAPIKeyScopes(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	mustCreate(t, r, "acme")
	_, text := mustAPIKey(t, r, "acme", APIKeySpec{Scopes: []Scope{ReadChats, ReadChats}})
	g, err := r.VerifyAPIKey(text)
	if err != nil || !g.Has(ReadChats) || g.Has(WriteChats) || g.Has("everything") {
		t.Errorf("%+v, %v", g, err)
	}
	token := mustIssue(t, r, TokenSpec{Tenant: "acme", User: "ann"})
	if g, err := r.Verify(t.Context(), token); err != nil || !g.Has(WriteChats) {
		t.Errorf("a token: %+v, %v", g, err)
	}
	login := mustIssue(t, r, TokenSpec{Tenant: "acme", User: "ann", Login: true})
	if g, err := r.Verify(t.Context(), login); err != nil || g.Has(ReadChats) {
		t.Errorf("a login token: %+v, %v", g, err)
	}
	for name, spec := range map[string]APIKeySpec{
		"scope": {Scopes: []Scope{"admin"}}, "name": {Name: strings.Repeat("n", 257)}, "past": {NotAfter: time.Now().Add(-time.Minute)},
	} {
		_, _, err := r.CreateAPIKey(t.Context(), "acme", spec)
		wantCode(t, name, err, fault.InvalidFormat)
	}
	_, _, err = r.CreateAPIKey(t.Context(), "nobody", APIKeySpec{})
	wantCode(t, "tenant", err, fault.NotFound)
}

func TestBadAPIKeys(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	mustCreate(t, r, "acme")
	mustCreate(t, r, "evil")
	key, text := mustAPIKey(t, r, "acme", APIKeySpec{})
	_, evil := mustAPIKey(t, r, "evil", APIKeySpec{})
	secret := text[len(key.Prefix)+1:]
	_, err := r.VerifyAPIKey("")
	wantCode(t, "none", err, fault.AuthRequired)
	said := map[string]bool{}
	for _, bad := range []string{
		"parley_", "parley__", "parley___", "x", secret, key.Prefix, key.Prefix + "_", text + "0", text[:len(text)-1], strings.ToUpper(text), " " + text, text + "\n",
		"parley_evil_" + key.ID + "_" + secret, "parley_acme_" + evil[len("parley_evil_"):], "parley_nobody_" + key.ID + "_" + secret,
		"parley_acme__" + secret, "parley_acme_0000000000000000_" + secret, "parley_acme_" + key.ID + "_" + strings.Repeat("0", 64),
		"parley_acme.*_" + key.ID + "_" + secret, strings.Repeat("parley_", 10_000), "parley_ac\x00me_" + key.ID + "_" + secret,
	} {
		_, err := r.VerifyAPIKey(bad)
		wantCode(t, fmt.Sprintf("%.60q", bad), err, fault.AuthFailed)
		said[fault.Message(err)+fault.Fix(err)] = true
	}
	if len(said) != 1 {
		t.Errorf("the answers tell what is wrong: %v", said)
	}
}

func TestAPIKeyExpires(t *testing.T) {
	var now atomic.Pointer[time.Time]
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	now.Store(&start)
	r := mustRegistryWith(t, mustEngine(t, t.TempDir(), broker.ListenOff), Config{Now: func() time.Time { return *now.Load() }})
	mustCreate(t, r, "acme")
	_, text := mustAPIKey(t, r, "acme", APIKeySpec{NotAfter: start.Add(time.Hour)})
	g, err := r.VerifyAPIKey(text)
	if err != nil || !g.Expires.Equal(start.Add(time.Hour)) {
		t.Fatalf("%+v, %v", g, err)
	}
	later := start.Add(time.Hour)
	now.Store(&later)
	_, err = r.VerifyAPIKey(text)
	wantCode(t, "expired", err, fault.TokenExpired)
	wantCode(t, "recheck", r.Recheck(g), fault.TokenExpired)
}

// TestAPIKeysMakeRoom makes keys up to the limit, and then one more for each that is dead.
func TestAPIKeysMakeRoom(t *testing.T) {
	full := Tenant{ID: "acme"}
	for range maxAPIKeys {
		k, _, err := newAPIKey("acme", APIKeySpec{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		full.APIKeys = append(full.APIKeys, k)
	}
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	mustCreate(t, r, "acme")
	_, err := r.change(t.Context(), "acme", func(t *Tenant) (bool, error) { t.APIKeys = full.APIKeys; return true, nil })
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = r.CreateAPIKey(t.Context(), "acme", APIKeySpec{})
	wantCode(t, "one too many", err, fault.LimitExceeded)
	dead := full.APIKeys[7].ID
	if _, err := r.RevokeAPIKey(t.Context(), "acme", dead); err != nil {
		t.Fatal(err)
	}
	key, _ := mustAPIKey(t, r, "acme", APIKeySpec{})
	tenant, err := r.Get("acme")
	if err != nil || len(tenant.APIKeys) != maxAPIKeys || tenant.APIKeys[maxAPIKeys-1].ID != key.ID {
		t.Errorf("%d keys, %v", len(tenant.APIKeys), err)
	}
	if slices.ContainsFunc(tenant.APIKeys, func(k APIKey) bool { return k.ID == dead }) {
		t.Error("the dead key is still there")
	}
}

// TestStolenDataHoldsNoAPIKey looks for a key in every file, and tries what it finds in its place.
func TestStolenDataHoldsNoAPIKey(t *testing.T) {
	dir := t.TempDir()
	e := mustEngine(t, dir, broker.ListenOff)
	r := mustRegistry(t, e)
	mustCreate(t, r, "acme")
	key, text := mustAPIKey(t, r, "acme", APIKeySpec{Name: "shop"})
	secret := text[len(key.Prefix)+1:]
	raw, err := hex.DecodeString(secret)
	if err != nil || len(raw) != 32 {
		t.Fatalf("%q: %v", secret, err)
	}
	found := false
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, needle := range [][]byte{[]byte(secret), raw, []byte(secret[:32]), []byte(secret[32:])} {
			if bytes.Contains(b, needle) {
				t.Errorf("%s holds the key", path)
			}
		}
		found = found || bytes.Contains(b, []byte(key.ID))
		return err
	})
	if err != nil || !found {
		t.Errorf("the key's record was not found: %v", err)
	}
	stolen := hex.EncodeToString(key.sum[:])
	_, err = r.VerifyAPIKey(key.Prefix + "_" + stolen)
	wantCode(t, "the hash in the place of the secret", err, fault.AuthFailed)

	tenant, err := r.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(tenant)
	if err != nil || !bytes.Contains(public, []byte(key.ID)) || bytes.Contains(public, []byte(`"sum"`)) {
		t.Errorf("%s, %v", public, err)
	}
}

func TestAPIKeysSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	var text, dead string
	t.Run("before", func(t *testing.T) {
		r := mustRegistry(t, mustEngine(t, dir, broker.ListenOff))
		mustCreate(t, r, "acme")
		_, text = mustAPIKey(t, r, "acme", APIKeySpec{Name: "shop", Scopes: []Scope{ReadChats}})
		var gone APIKey
		gone, dead = mustAPIKey(t, r, "acme", APIKeySpec{})
		if _, err := r.RevokeAPIKey(t.Context(), "acme", gone.ID); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("after", func(t *testing.T) {
		r := mustRegistry(t, mustEngine(t, dir, broker.ListenOff))
		g, err := r.VerifyAPIKey(text)
		if err != nil || g.Has(WriteChats) || !g.Has(ReadChats) {
			t.Errorf("%+v, %v", g, err)
		}
		_, err = r.VerifyAPIKey(dead)
		wantCode(t, "revoked before", err, fault.AuthFailed)
	})
}
