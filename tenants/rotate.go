package tenants

import (
	"context"
	"slices"
	"time"

	"parley/internal/fault"
)

// Rotation asks for a new key in the place of an old one.
type Rotation struct {
	Kid     string        // of the old key. Defaults to the one that tokens are signed with.
	Overlap time.Duration // how long the old key still verifies. Zero means that it is revoked at once.
	New     KeySpec       // algorithm, issuer and audience default to those of the old key
}

// RotateKey puts a new key beside an old one, in one step: new tokens are signed with the new one, and those of the old
// one are good for the overlap, or until they end. In a ring that is full the oldest dead key makes room. Errors are
// fault.NotFound, InvalidFormat, AlreadyExists and LimitExceeded.
func (r *Registry) RotateKey(ctx context.Context, id ID, rotation Rotation) (old, fresh Key, err error) {
	if rotation.Overlap < 0 {
		return old, fresh, fault.New(fault.InvalidFormat, "The overlap is not negative.")
	}
	_, err = r.change(ctx, id, func(t *Tenant) (bool, error) {
		now := r.cfg.Now()
		i, err := t.toRotate(rotation.Kid, now)
		if err != nil {
			return false, err
		}
		if fresh, err = NewKey(rotation.spec(t.Keys[i]), now); err != nil {
			return false, err
		}
		if _, taken := t.Key(fresh.Kid); taken {
			return false, fault.New(fault.AlreadyExists, "The tenant %s has a key %q, or had it.", id, fresh.Kid).WithFix("Choose another key id.")
		}
		t.Keys[i].retire(now, rotation.Overlap)
		old = t.Keys[i]
		if err := t.makeRoom(now); err != nil {
			return false, err
		}
		t.Keys = append(t.Keys, fresh)
		return true, nil
	})
	return old, fresh, err
}

// toRotate returns where in the ring the live key is that kid names, or that signs when it names none.
func (t *Tenant) toRotate(kid string, now time.Time) (int, error) {
	if kid == "" {
		signing, err := signer(*t, "", now)
		if err != nil {
			return 0, err
		}
		kid = signing.Kid
	}
	i := slices.IndexFunc(t.Keys, func(k Key) bool { return k.Kid == kid && k.Live(now) })
	if i < 0 {
		return 0, fault.New(fault.NotFound, "The tenant %s has no live key %q.", t.ID, kid).WithFix("See them with: parley key list --tenant %s", t.ID)
	}
	if t.Keys[i].JWKSURL != "" {
		return 0, fault.New(fault.InvalidFormat, "The keys of %s are rotated by the identity provider.", kid)
	}
	return i, nil
}

// spec is what is asked for, completed from the old key.
func (rotation Rotation) spec(old Key) KeySpec {
	spec := rotation.New
	if spec.Alg == "" {
		spec.Alg = old.Alg
	}
	if spec.Issuer == "" {
		spec.Issuer = old.Issuer
	}
	if spec.Audience == "" {
		spec.Audience = old.Audience
	}
	return spec
}

// retire lets the key verify until the overlap is over, and sign no longer than that.
func (k *Key) retire(now time.Time, overlap time.Duration) {
	end := now.Add(overlap).UTC().Truncate(time.Second)
	switch {
	case overlap == 0:
		k.revoke(now)
	case k.NotAfter.IsZero() || end.Before(k.NotAfter):
		k.NotAfter = end
	}
}

// revoke makes the key verify nothing any more, and forgets what it is made of.
func (k *Key) revoke(now time.Time) {
	k.Revoked = now.UTC().Truncate(time.Millisecond)
	k.material, k.CanSign = nil, false
}

// makeRoom drops the oldest dead key of a full ring.
func (t *Tenant) makeRoom(now time.Time) error {
	if len(t.Keys) < maxKeys {
		return nil
	}
	i := slices.IndexFunc(t.Keys, func(k Key) bool { return !k.Live(now) })
	if i < 0 {
		return fault.New(fault.LimitExceeded, "A tenant has at most %d live keys.", maxKeys)
	}
	t.Keys = slices.Delete(t.Keys, i, i+1)
	return nil
}
