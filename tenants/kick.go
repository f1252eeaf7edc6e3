package tenants

import (
	"context"
	"slices"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

const (
	maxKicks  = 100
	kicksLast = time.Hour // what a node that was away for longer has missed is over
)

// Kick closes the connections that somebody had when it was made. It forbids nothing: a token that is still good opens
// the next one.
type Kick struct {
	Who      string    `json:"who"`      // an agent or a user
	At       time.Time `json:"at"`       // when it was asked for
	Revision uint64    `json:"revision"` // of the tenant; connections that were opened under it or an earlier one end
}

// Kick closes all connections of an agent or a user, on this node before it returns and on the others within moments. It
// is no error when there are none. With revoke, all its tokens that were issued until now are refused from then on, too,
// and the revocation is returned. Errors are fault.NotFound, InvalidFormat and those of RevokeTokens.
func (r *Registry) Kick(ctx context.Context, id ID, who string, revoke bool) (made Revocation, err error) {
	if who == "" || len(who) > maxNameBytes {
		return made, fault.New(fault.InvalidFormat, "Say whose connections: an agent or a user, in at most %d bytes.", maxNameBytes)
	}
	var want Revocation
	if revoke {
		subject, err := broker.ParseToken(who)
		if err == nil {
			want, err = r.revocation(RevocationSpec{Subject: subject})
		}
		if err != nil {
			return made, err
		}
	}
	now := r.cfg.Now().UTC().Truncate(time.Millisecond)
	_, err = r.change(ctx, id, func(t *Tenant) (_ bool, err error) {
		t.kick(who, now)
		if revoke {
			made, _, err = t.revoke(want)
		}
		return true, err
	})
	return made, err
}

// kick adds a Kick in place of an earlier one of the same client.
func (t *Tenant) kick(who string, now time.Time) {
	t.Kicks = slices.DeleteFunc(t.Kicks, func(k Kick) bool { return k.Who == who || now.Sub(k.At) > kicksLast })
	if over := len(t.Kicks) - (maxKicks - 1); over > 0 {
		t.Kicks = slices.Delete(t.Kicks, 0, over)
	}
	t.Kicks = append(t.Kicks, Kick{Who: who, At: now, Revision: t.Revision})
}

// Kicked reports whether somebody's connection that was opened under an earlier revision of the tenant has to end.
func (t *Tenant) Kicked(who string, opened uint64) bool {
	return slices.ContainsFunc(t.Kicks, func(k Kick) bool { return k.Who == who && opened <= k.Revision })
}
