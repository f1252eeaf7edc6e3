package tenants

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
)

// Spec asks for a tenant.
type Spec struct {
	ID   ID
	Name string // for people, at most 256 bytes

	Limits LimitChanges // Nil means that all have their defaults.
}

const maxNameBytes = 256

// Create makes a tenant with its account and a first key to sign tokens with, and reports whether it is new: creating
// one that exists is no error when it has the same name and limits. Errors are fault.InvalidID, InvalidFormat and AlreadyExists.
func (r *Registry) Create(ctx context.Context, spec Spec) (t Tenant, created bool, err error) {
	if _, err := ParseID(string(spec.ID)); err != nil {
		return Tenant{}, false, err
	}
	if err := (Change{Name: &spec.Name, Limits: spec.Limits}).Check(); err != nil {
		return Tenant{}, false, err
	}
	for {
		t, err := r.insert(ctx, spec)
		if err == nil {
			t, err = r.finishAndSee(ctx, t)
			return t, true, err
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return Tenant{}, false, err
		}
		t, err = r.existing(ctx, spec.ID)
		if fault.CodeOf(err) == fault.NotFound {
			continue // deleted since, or just now by existing
		}
		if err != nil {
			return Tenant{}, false, err
		}
		if spec.Name != "" && spec.Name != t.Name {
			return t, false, fault.New(fault.AlreadyExists, "The tenant %s exists, with another name.", spec.ID)
		}
		if _, differ := spec.Limits.apply(t.Limits); differ {
			return t, false, fault.New(fault.AlreadyExists, "The tenant %s exists, with other limits.", spec.ID).
				WithFix("Change them with: parley tenant update %s --limit NAME=VALUE", spec.ID)
		}
		return t, false, r.awaitRevision(ctx, t)
	}
}

// insert writes the record of a new tenant.
func (r *Registry) insert(ctx context.Context, spec Spec) (Tenant, error) {
	now := r.cfg.Now()
	key, err := NewKey(KeySpec{}, now)
	if err != nil {
		return Tenant{}, err
	}
	t := Tenant{
		ID: spec.ID, Name: spec.Name, Account: broker.NewAccountID(), State: Creating,
		Created: now.UTC().Truncate(time.Millisecond), Keys: []Key{key},
	}
	t.Limits, _ = spec.Limits.apply(nil)
	b, err := encodeRecord(t)
	if err != nil {
		return Tenant{}, err
	}
	t.Revision, err = r.bucket.Create(ctx, string(t.ID), b)
	return t, stored(err)
}

// existing returns a tenant with no step under way. Of one that is being deleted it finishes that first, and then there
// is none.
func (r *Registry) existing(ctx context.Context, id ID) (Tenant, error) {
	t, err := r.read(ctx, id)
	if err == nil && r.unfinished(t) {
		t, err = r.settle(ctx, t)
	}
	switch {
	case err == nil && t.Revision == 0:
		err = notFound(id)
	case err == nil && t.State == Restoring:
		err = fault.New(fault.Unavailable, "The tenant %s is just being restored.", id)
	}
	return t, err
}

// Suspend refuses all tokens of the tenant and closes its services' connections. Its data stays.
func (r *Registry) Suspend(ctx context.Context, id ID) (Tenant, error) {
	return r.change(ctx, id, func(t *Tenant) (bool, error) {
		changed := t.State != Suspended
		t.State = Suspending
		return changed, nil
	})
}

// Resume undoes Suspend.
func (r *Registry) Resume(ctx context.Context, id ID) (Tenant, error) {
	return r.change(ctx, id, func(t *Tenant) (bool, error) {
		changed := t.State != Active
		t.State = Resuming
		return changed, nil
	})
}

// Delete removes a tenant with all its data. It can't be undone, and is finished when it returns nil.
func (r *Registry) Delete(ctx context.Context, id ID) error {
	var last Tenant
	_, err := r.change(ctx, id, func(t *Tenant) (bool, error) {
		t.State = Deleting
		last = *t
		return true, nil
	})
	if err != nil {
		return err
	}
	if err := r.awaitGone(ctx, last); err != nil {
		return err
	}
	r.eraseGraves(ctx)
	return nil
}

// AddKey adds a key to the tenant's ring and reports whether it is new: adding the same one again is no error. Errors
// are fault.InvalidFormat, AlreadyExists (another key has that id, or had it), LimitExceeded and NotFound.
func (r *Registry) AddKey(ctx context.Context, id ID, spec KeySpec) (key Key, added bool, err error) {
	key, err = NewKey(spec, r.cfg.Now())
	if err != nil {
		return Key{}, false, err
	}
	_, err = r.change(ctx, id, func(t *Tenant) (bool, error) {
		if old, ok := t.Key(key.Kid); ok {
			if !old.same(key, spec) {
				return false, fault.New(fault.AlreadyExists, "The tenant %s has another key %q, or had it.", id, key.Kid).
					WithFix("Choose another key id.")
			}
			key, added = old, false
			return false, nil
		}
		if len(t.Keys) >= maxKeys {
			return false, fault.New(fault.LimitExceeded, "A tenant has at most %d keys, the revoked ones included.", maxKeys)
		}
		t.Keys = append(t.Keys, key)
		added = true
		return true, nil
	})
	if err != nil {
		return Key{}, false, err
	}
	return key, added, nil
}

// same reports whether asking for k again with spec means the key that exists.
func (k Key) same(other Key, spec KeySpec) bool {
	if !k.Revoked.IsZero() || k.Alg != other.Alg || k.Issuer != other.Issuer || k.Audience != other.Audience ||
		k.JWKSURL != other.JWKSURL || !k.NotAfter.Equal(other.NotAfter) || k.CanSign != other.CanSign {
		return false
	}
	if spec.Secret != nil {
		return k.material != nil && subtle.ConstantTimeCompare(k.material().secret, spec.Secret) == 1
	}
	return spec.PublicKey == nil || k.PublicKey == other.PublicKey
}

// RevokeKey makes a key verify nothing from now on, also on connections that are open. What it was made of is erased;
// its id stays taken.
func (r *Registry) RevokeKey(ctx context.Context, id ID, kid string) (Key, error) {
	var revoked Key
	_, err := r.change(ctx, id, func(t *Tenant) (bool, error) {
		for i := range t.Keys {
			k := &t.Keys[i]
			if k.Kid != kid {
				continue
			}
			changed := k.Revoked.IsZero()
			if changed {
				k.revoke(r.cfg.Now())
			}
			revoked = *k
			return changed, nil
		}
		return false, fault.New(fault.NotFound, "The tenant %s has no key %q.", id, kid).
			WithFix("See them with: parley key list --tenant %s", id)
	})
	return revoked, err
}

// change applies edit to the current record until nobody else has changed it meanwhile, and then does what the new
// state asks for. edit reports whether it changed anything; it may be called several times, each time on a fresh copy.
func (r *Registry) change(ctx context.Context, id ID, edit func(*Tenant) (bool, error)) (Tenant, error) {
	for {
		current, err := r.existing(ctx, id)
		if err != nil {
			return Tenant{}, err
		}
		next := current.clone()
		changed, err := edit(&next)
		if err != nil {
			return Tenant{}, err
		}
		if !changed {
			return current, r.awaitRevision(ctx, current)
		}
		next, err = r.write(ctx, next)
		if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			continue
		}
		if err != nil {
			return Tenant{}, err
		}
		done, err := r.finishAndSee(ctx, next)
		if err == nil && next.State != Deleting && dropped(current, next) {
			err = r.erasePast(ctx, id)
		}
		return done, err
	}
}

// finishAndSee does what t's state asks for, and waits until this node has seen the result.
func (r *Registry) finishAndSee(ctx context.Context, t Tenant) (Tenant, error) {
	var err error
	if r.unfinished(t) {
		t, err = r.settle(ctx, t)
	} else {
		err = r.sync()
	}
	if err != nil || t.Revision == 0 {
		return t, err
	}
	return t, r.awaitRevision(ctx, t)
}
