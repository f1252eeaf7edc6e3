package tenants

import (
	"context"
	"fmt"
	"slices"
	"time"

	"parley/internal/fault"
	"parley/internal/hashedkey"
)

// CreateAPIKey makes an API key. The text is the key itself: it can't be had a second time. When the tenant has as many
// as it may, the oldest one that is dead gives way. Errors are fault.NotFound, InvalidFormat and LimitExceeded.
func (r *Registry) CreateAPIKey(ctx context.Context, id ID, spec APIKeySpec) (key APIKey, text string, err error) {
	now := r.cfg.Now()
	if key, text, err = newAPIKey(id, spec, now); err != nil {
		return APIKey{}, "", err
	}
	_, err = r.change(ctx, id, func(t *Tenant) (bool, error) {
		if len(t.APIKeys) >= maxAPIKeys {
			dead := slices.IndexFunc(t.APIKeys, func(k APIKey) bool { return !k.Live(now) })
			if dead < 0 {
				return false, fault.New(fault.LimitExceeded, "A tenant has at most %d API keys.", maxAPIKeys).
					WithFix("Revoke one that is not needed: parley apikey list --tenant %s", id)
			}
			t.APIKeys = slices.Delete(t.APIKeys, dead, dead+1)
		}
		t.APIKeys = append(t.APIKeys, key)
		return true, nil
	})
	if err != nil {
		return APIKey{}, "", err
	}
	return key, text, nil
}

// RevokeAPIKey makes an API key good for nothing from now on, also on connections that are open. Its hash is erased.
func (r *Registry) RevokeAPIKey(ctx context.Context, id ID, key string) (APIKey, error) {
	var revoked APIKey
	_, err := r.change(ctx, id, func(t *Tenant) (bool, error) {
		for i := range t.APIKeys {
			k := &t.APIKeys[i]
			if k.ID != key {
				continue
			}
			changed := k.Revoked.IsZero()
			if changed {
				k.Revoked = r.cfg.Now().UTC().Truncate(time.Millisecond)
				k.sum = hashedkey.Sum{}
			}
			revoked = *k
			return changed, nil
		}
		return false, fault.New(fault.NotFound, "The tenant %s has no API key %q.", id, key).
			WithFix("See them with: parley apikey list --tenant %s", id)
	})
	return revoked, err
}

// VerifyAPIKey returns what an API key allows: a Grant with APIKey set and no Agent. Errors are fault.AuthRequired,
// AuthFailed, TokenExpired and TenantSuspended. Whether the tenant exists can't be told from the answer.
func (r *Registry) VerifyAPIKey(text string) (*Grant, error) {
	if text == "" {
		return nil, fault.New(fault.AuthRequired, "There is no API key.")
	}
	tenant, id, ok := cutAPIKey(text)
	if !ok {
		return nil, badAPIKey(fmt.Errorf("it does not have the form of one"))
	}
	res, known := r.resident(tenant)
	key, had := res.tenant.APIKey(id)
	if !key.sum.Fits(text) || !had || !key.Revoked.IsZero() { // compared whatever else is wrong, so that all take the same time
		return nil, badAPIKey(fmt.Errorf("tenant %q known: %t; key %q known: %t, revoked: %t", tenant, known, id, had, had && !key.Revoked.IsZero()))
	}
	if !key.Live(r.cfg.Now()) {
		return nil, fault.New(fault.TokenExpired, "The API key expired at %s.", key.NotAfter.UTC().Format(time.RFC3339)).WithFix("Get a new API key.")
	}
	if res.tenant.Suspended() {
		return nil, suspended(tenant)
	}
	r.uses.note(res.tenant.Account, id, r.cfg.Now())
	return &Grant{Tenant: tenant, Account: res.tenant.Account, APIKey: id, Expires: key.NotAfter, scopes: key.Scopes}, nil
}

func badAPIKey(cause error) error {
	e := fault.Wrap(fault.AuthFailed, cause, "The API key is not valid.")
	return e.WithFix("Check the value of the API key. One that is lost can't be shown again: make a new one.")
}
