package tenants

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

// clocked is a registry whose clock the test holds.
func clocked(t *testing.T) (*Registry, *time.Time) {
	t.Helper()
	clock := time.Date(2026, 7, 1, 12, 0, 0, 500_000_000, time.UTC)
	r := mustRegistryWith(t, mustEngine(t, t.TempDir(), broker.ListenOff), Config{Now: func() time.Time { return clock }})
	mustCreate(t, r, "acme")
	return r, &clock
}

func mustRevoke(t *testing.T, r *Registry, spec RevocationSpec) Revocation {
	t.Helper()
	made, err := r.RevokeTokens(t.Context(), "acme", spec)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// holder is a token with what it was verified to be.
type holder struct {
	token string
	grant *Grant
}

func mustHold(t *testing.T, r *Registry, spec TokenSpec) holder {
	t.Helper()
	spec.Tenant = "acme"
	token := mustIssue(t, r, spec)
	g, err := r.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return holder{token, g}
}

// want checks that the token is good or refused for a reason, both when it is presented and on an open connection.
func (h holder) want(t *testing.T, r *Registry, what, reason string) {
	t.Helper()
	_, err := r.Verify(t.Context(), h.token)
	for how, err := range map[string]error{"presented": err, "open": r.Recheck(h.grant)} {
		switch {
		case reason == "" && err != nil:
			t.Errorf("%s, %s: %v", what, how, err)
		case reason != "" && (fault.CodeOf(err) != fault.AuthFailed || fault.Message(err) != "The token was revoked." || !strings.Contains(errors.Unwrap(err).Error(), reason)):
			t.Errorf("%s, %s: %v, want %q", what, how, err, reason)
		}
	}
}

func TestRevokeOneToken(t *testing.T) {
	r, _ := clocked(t)
	one, other := mustHold(t, r, TokenSpec{Agent: "alice"}), mustHold(t, r, TokenSpec{Agent: "alice"})
	mustRevoke(t, r, RevocationSpec{JTI: one.grant.JTI})
	one.want(t, r, "the one", fmt.Sprintf("the token with jti %q was revoked at 2026-07-01T12:00:00Z", one.grant.JTI))
	other.want(t, r, "another of the same agent", "")
	before, err := r.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	mustRevoke(t, r, RevocationSpec{JTI: one.grant.JTI})
	if after, err := r.Get("acme"); err != nil || after.Revision != before.Revision || len(after.Revocations) != 1 {
		t.Errorf("revoked twice: %+v, %v", after.Revocations, err)
	}
	if report := r.Explain(t.Context(), one.token); report.Valid || !strings.Contains(report.Reason, "the token with jti") {
		t.Errorf("%+v", report)
	}
	// The hostile tenant's revocations are its own affair.
	mustCreate(t, r, "evil")
	if _, err := r.RevokeTokens(t.Context(), "evil", RevocationSpec{JTI: other.grant.JTI}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.RevokeTokens(t.Context(), "evil", RevocationSpec{All: true}); err != nil {
		t.Fatal(err)
	}
	other.want(t, r, "revoked by somebody else", "")
}

func TestRevokeTokensOfAnAgent(t *testing.T) {
	r, clock := clocked(t)
	alice, ann, bob := mustHold(t, r, TokenSpec{Agent: "alice"}), mustHold(t, r, TokenSpec{User: "ann"}), mustHold(t, r, TokenSpec{Agent: "bob"})
	mustRevoke(t, r, RevocationSpec{Subject: "alice"})
	mustRevoke(t, r, RevocationSpec{Subject: "ann"})
	alice.want(t, r, "alice", "every token of alice issued until 2026-07-01T12:00:00Z")
	ann.want(t, r, "the user ann", "every token of ann issued until")
	bob.want(t, r, "bob", "")

	// A token that is issued in the same second is not refused with those that were issued before.
	again := mustHold(t, r, TokenSpec{Agent: "alice", TTL: 3 * time.Hour})
	again.want(t, r, "issued in the same second", "")
	for range 3 { // all within that second
		mustRevoke(t, r, RevocationSpec{Subject: "alice"})
		again.want(t, r, "revoked once more", "every token of alice issued until 2026-07-01T12:00:0")
		again = mustHold(t, r, TokenSpec{Agent: "alice", TTL: 3 * time.Hour})
		again.want(t, r, "issued once more", "")
	}
	mustRevoke(t, r, RevocationSpec{All: true})
	again.want(t, r, "revoked with all", "every token of the tenant")
	again = mustHold(t, r, TokenSpec{Agent: "alice", TTL: 3 * time.Hour})
	*clock = clock.Add(time.Hour)
	mustRevoke(t, r, RevocationSpec{Subject: "alice", Before: clock.Add(-30 * time.Minute)})
	again.want(t, r, "issued before a later time", "every token of alice issued until 2026-07-01T12:30:00Z")
	mustHold(t, r, TokenSpec{Agent: "alice"}).want(t, r, "issued since", "")
	mustRevoke(t, r, RevocationSpec{Subject: "alice", Before: clock.Add(-2 * time.Hour)})
	again.want(t, r, "a revocation that reaches less far", "every token of alice issued until 2026-07-01T12:30:00Z")
	if acme, err := r.Get("acme"); err != nil || len(acme.Revocations) != 2 { // of alice, and of all
		t.Errorf("%+v, %v", acme.Revocations, err)
	}
}

func TestRevokeAllTokens(t *testing.T) {
	r, _ := clocked(t)
	alice := mustHold(t, r, TokenSpec{Agent: "alice"})
	_, key := mustAPIKey(t, r, "acme", APIKeySpec{})
	mustRevoke(t, r, RevocationSpec{Subject: "alice"})
	mustRevoke(t, r, RevocationSpec{JTI: "another"})
	mustRevoke(t, r, RevocationSpec{All: true})
	alice.want(t, r, "alice", "every token of")
	mustHold(t, r, TokenSpec{Agent: "alice"}).want(t, r, "issued since", "")
	if acme, err := r.Get("acme"); err != nil || len(acme.Revocations) != 2 || acme.Revocations[0].JTI != "another" {
		t.Errorf("what all tokens include is still there: %+v, %v", acme.Revocations, err)
	}
	if _, err := r.VerifyAPIKey(key); err != nil {
		t.Errorf("an API key is no token: %v", err)
	}
}

// A token that does not say when it was issued can't have been issued since.
func TestRevokeTokensWithoutTime(t *testing.T) {
	s := newScene(t, Config{})
	k := mustKey(t, KeySpec{Kid: "hs"})
	s.put(t, "acme", Active, k)
	res := s.tenants["acme"]
	res.refused = newRefusals([]Revocation{{Subject: "bot", Before: now.Add(-time.Hour)}})
	s.tenants["acme"] = res
	token := func(changes map[string]any) string {
		return sign(t, `{"alg":"HS256","kid":"hs"}`, claimsJSON(changes), k)
	}
	if _, err := s.verify(t.Context(), token(nil)); err != nil {
		t.Errorf("issued since: %v", err)
	}
	if _, err := s.verify(t.Context(), token(map[string]any{"iat": nil})); fault.Message(err) != "The token was revoked." {
		t.Errorf("without iat: %v", err)
	}
}

func TestRevocationsAreChecked(t *testing.T) {
	r, clock := clocked(t)
	for name, spec := range map[string]RevocationSpec{
		"none":         {},
		"two":          {JTI: "x", Subject: "alice"},
		"three":        {JTI: "x", Subject: "alice", All: true},
		"jti and time": {JTI: "x", Before: *clock},
		"the future":   {All: true, Before: clock.Add(time.Second)},
		"long jti":     {JTI: strings.Repeat("x", 257)},
	} {
		_, err := r.RevokeTokens(t.Context(), "acme", spec)
		wantCode(t, name, err, fault.InvalidFormat)
	}
	_, err := r.RevokeTokens(t.Context(), "nobody", RevocationSpec{All: true})
	wantCode(t, "of nobody", err, fault.NotFound)
}

// Revocations are forgotten when what they refuse has expired, and there are never more than a bounded number.
func TestRevocationsAreBounded(t *testing.T) {
	r, clock := clocked(t)
	made := Tenant{ID: "acme"}
	for i := range maxRevocations {
		one, err := r.revocation(RevocationSpec{JTI: fmt.Sprint(i)})
		if err == nil {
			_, _, err = made.revoke(one)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	more, err := r.revocation(RevocationSpec{JTI: "more"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = made.revoke(more)
	wantCode(t, "one more", err, fault.LimitExceeded)
	*clock = clock.Add(30*24*time.Hour + 20*time.Second)
	if more, err = r.revocation(RevocationSpec{JTI: "more"}); err == nil {
		_, _, err = made.revoke(more)
	}
	if err != nil || len(made.Revocations) != 1 {
		t.Errorf("after all have expired there are %d: %v", len(made.Revocations), err)
	}
}

func TestRevocationsAllocateNothing(t *testing.T) {
	refused := newRefusals([]Revocation{{JTI: "x"}, {Subject: "alice", Before: now}, {Before: now.Add(-time.Hour)}})
	g := &Grant{Agent: "bot", JTI: "y", Issued: now}
	if n := testing.AllocsPerRun(100, func() {
		if refused.check(g) != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRevocationsSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	var alice holder
	t.Run("before", func(t *testing.T) {
		r := mustRegistry(t, mustEngine(t, dir, broker.ListenOff))
		mustCreate(t, r, "acme")
		alice = mustHold(t, r, TokenSpec{Agent: "alice"})
		mustRevoke(t, r, RevocationSpec{Subject: "alice"})
		if _, err := r.Kick(t.Context(), "acme", "alice", false); err != nil {
			t.Fatal(err)
		}
	})
	r := mustRegistry(t, mustEngine(t, dir, broker.ListenOff))
	alice.want(t, r, "after the restart", "every token of alice")
	if acme, err := r.Get("acme"); err != nil || len(acme.Kicks) != 1 {
		t.Errorf("%+v, %v", acme.Kicks, err)
	}
}

func TestKick(t *testing.T) {
	r, clock := clocked(t)
	alice := mustHold(t, r, TokenSpec{Agent: "alice"})
	opened, err := r.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Kick(t.Context(), "acme", "alice", false); err != nil {
		t.Fatal(err)
	}
	after, err := r.Get("acme")
	if err != nil || !after.Kicked("alice", opened.Revision) || after.Kicked("alice", after.Revision) || after.Kicked("bob", opened.Revision) {
		t.Errorf("%+v, %v", after.Kicks, err)
	}
	alice.want(t, r, "kicked", "")
	made, err := r.Kick(t.Context(), "acme", "alice", true)
	if err != nil || made.Subject != "alice" {
		t.Errorf("%+v, %v", made, err)
	}
	alice.want(t, r, "kicked and revoked", "every token of alice")
	tenant := Tenant{ID: "acme"}
	for i := range maxKicks + 10 {
		tenant.kick(fmt.Sprint(i), *clock)
	}
	if len(tenant.Kicks) != maxKicks || tenant.Kicks[0].Who != "10" {
		t.Errorf("%d kicks, from %+v", len(tenant.Kicks), tenant.Kicks[0])
	}
	_, err = r.Kick(t.Context(), "acme", "", false)
	wantCode(t, "nobody", err, fault.InvalidFormat)
	_, err = r.Kick(t.Context(), "acme", "a user", true)
	wantCode(t, "tokens of what no token names", err, fault.InvalidID)
}
