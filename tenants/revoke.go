package tenants

import (
	"context"
	"slices"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

// Bounds on a tenant's revocations.
const (
	maxRevocations = 1000
	maxJTIBytes    = 256 // a longer one is nothing that anybody types; such a token can be revoked by its subject
)

// RevocationSpec asks for a revocation. Exactly one of JTI, Subject and All is set.
type RevocationSpec struct {
	JTI     string
	Subject broker.Token // an agent or a user
	All     bool         // everybody's tokens
	Before  time.Time    // tokens issued until then, not later than now. Defaults to now. Not beside a JTI.
}

// RevokeTokens refuses tokens from now on, also on connections that are open: on this node they are closed when it
// returns. Asking again for what is refused already changes nothing. A token that is issued by somebody else in the
// second of Before is refused as well; the broker's own are not. Errors are fault.NotFound, InvalidFormat and
// LimitExceeded.
func (r *Registry) RevokeTokens(ctx context.Context, id ID, spec RevocationSpec) (Revocation, error) {
	want, err := r.revocation(spec)
	if err != nil {
		return Revocation{}, err
	}
	var made Revocation
	_, err = r.change(ctx, id, func(t *Tenant) (changed bool, err error) {
		made, changed, err = t.revoke(want)
		return changed, err
	})
	return made, err
}

// revocation checks spec.
func (r *Registry) revocation(spec RevocationSpec) (Revocation, error) {
	now := r.cfg.Now().UTC().Truncate(time.Millisecond)
	if countSet(spec.JTI != "", spec.Subject != "", spec.All) != 1 {
		return Revocation{}, fault.New(fault.InvalidFormat, "Say which tokens: one by its jti, those of an agent or user, or all.")
	}
	one := Revocation{JTI: spec.JTI, Subject: spec.Subject, Created: now, Until: now}
	switch {
	case len(spec.JTI) > maxJTIBytes:
		return one, fault.New(fault.InvalidFormat, "A jti to revoke has at most %d bytes.", maxJTIBytes).WithFix("Revoke by agent or user.")
	case spec.JTI != "" && !spec.Before.IsZero():
		return one, fault.New(fault.InvalidFormat, "A single token is revoked whenever it was issued: leave the time out.")
	case spec.Before.After(now):
		return one, fault.New(fault.InvalidFormat, "The time until which tokens are refused lies in the future.").
			WithFix("To refuse all that will be issued as well, revoke the key or suspend the tenant.")
	case spec.JTI == "":
		one.Before = now
		if !spec.Before.IsZero() {
			one.Before = spec.Before.UTC()
		}
		one.Until = one.Before
	}
	// The last of these tokens was issued by a clock that is fast, and lives as long as one may.
	one.Until = one.Until.Add(r.cfg.MaxTokenLife + 2*r.cfg.Leeway)
	return one, nil
}

// revoke adds a revocation, or makes an earlier one of the same tokens reach further.
func (t *Tenant) revoke(want Revocation) (made Revocation, changed bool, err error) {
	now := want.Created
	t.Revocations = slices.DeleteFunc(t.Revocations, func(one Revocation) bool { return !now.Before(one.Until) })
	if want.JTI == "" && want.Before.Equal(now) {
		want.Before = t.untilNow(want.Subject, now)
	}
	for i, one := range t.Revocations {
		if !one.same(want) {
			continue
		}
		if one.JTI != "" || !want.Before.After(one.Before) {
			return one, false, nil
		}
		t.Revocations = slices.Delete(t.Revocations, i, i+1)
		break
	}
	if len(t.Revocations) >= maxRevocations {
		return want, false, fault.New(fault.LimitExceeded, "The tenant %s has %d revocations of tokens that have not expired yet.", t.ID, maxRevocations).
			WithFix("Revoke all its tokens: parley token revoke --tenant %s --all\nOr the key that they are signed with: parley key revoke --tenant %s", t.ID, t.ID)
	}
	if want.JTI == "" && want.Subject == "" { // what it covers needs no words of its own
		t.Revocations = slices.DeleteFunc(t.Revocations, func(one Revocation) bool { return one.JTI == "" && !one.Before.After(want.Before) })
	}
	t.Revocations = append(t.Revocations, want)
	return want, true, nil
}

// untilNow is the time that includes every token of a subject that was issued by now. Those that were issued in the second
// of an earlier revocation say that they are of the next: see issue.
func (t *Tenant) untilNow(subject broker.Token, now time.Time) time.Time {
	for _, one := range t.Revocations {
		if covers := subject == "" || one.Subject == "" || one.Subject == subject; covers && one.JTI == "" && one.Before.Unix() >= now.Unix() {
			now = time.Unix(one.Before.Unix()+1, 0).UTC()
		}
	}
	return now
}
