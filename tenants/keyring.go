package tenants

import (
	"context"
	"log/slog"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// keyring is what a tenant's tokens are verified with. It is built once for each revision of the tenant and immutable
// but for the key sets it fetches.
type keyring struct {
	entries []*ringEntry          // every key that is not revoked
	byKid   map[string]*ringEntry // the same without the key sets, whose key ids are the identity provider's
}

// ringEntry is one key ready for use, bound to all that is its own, so that it is never tried with another algorithm, issuer or
// audience.
type ringEntry struct {
	key       Key
	method    jwt.SigningMethod
	validator *jwt.Validator
	static    any     // the typed key; nil when set is not
	set       *keySet // the key set of an identity provider
}

// newKeyring prepares the keys of t. Key sets that previous has fetched already are taken over.
func newKeyring(t Tenant, previous *keyring, cfg Config, fetch *fetcher, log *slog.Logger) *keyring {
	ring := &keyring{byKid: make(map[string]*ringEntry, len(t.Keys))}
	for _, k := range t.Keys {
		if !k.Revoked.IsZero() {
			continue
		}
		static, err := k.verifyKey()
		if err != nil { // was checked when it was added, so the record is damaged: the key verifies nothing
			log.Error("A tenant's key can't be used.", "tenant", t, "key", k, "error", err)
			continue
		}
		e := &ringEntry{key: k, method: jwt.GetSigningMethod(string(k.Alg)), validator: newValidator(k, cfg), static: static}
		if k.JWKSURL != "" {
			if e.set = previous.keySet(k); e.set == nil {
				e.set = newKeySet(k, fetch, cfg.Now)
			}
		} else {
			ring.byKid[k.Kid] = e
		}
		ring.entries = append(ring.entries, e)
	}
	return ring
}

// keySet returns the key set that r has for k, or nil.
func (r *keyring) keySet(k Key) *keySet {
	if r == nil {
		return nil
	}
	for _, e := range r.entries {
		if e.set != nil && e.key.Kid == k.Kid && e.key.JWKSURL == k.JWKSURL && e.key.Alg == k.Alg {
			return e.set
		}
	}
	return nil
}

// candidates returns the keys that may have signed a token with that header. A kid that the tenant's own ring knows
// names that key and no other; without kid, every live key of the algorithm is one.
func (r *keyring) candidates(h header, now time.Time) []*ringEntry {
	if e := r.byKid[h.Kid]; h.Kid != "" && e != nil {
		if e.key.Alg != h.Alg || !e.key.Live(now) {
			return nil
		}
		return []*ringEntry{e}
	}
	var found []*ringEntry
	for _, e := range r.entries {
		if e.key.Alg == h.Alg && e.key.Live(now) && (h.Kid == "" || e.set != nil) {
			found = append(found, e)
		}
	}
	return found
}

// checkSignature reports whether the key, or one of its set, has signed a token. Of the token's header it looks at nothing
// but the kid, and that only to choose from a set.
func (e *ringEntry) checkSignature(ctx context.Context, p parts) error {
	keys := []any{e.static}
	if e.set != nil {
		var err error
		if keys, err = e.set.keys(ctx, p.header.Kid); err != nil {
			return err
		}
	}
	err := jwt.ErrTokenUnverifiable
	for _, key := range keys {
		if err = e.method.Verify(p.signed, p.signature, key); err == nil {
			return nil
		}
	}
	return err
}

// newValidator returns what checks the claims of tokens signed with k, as RFC 8725 wants.
func newValidator(k Key, cfg Config) *jwt.Validator {
	options := []jwt.ParserOption{
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(cfg.Leeway),
		jwt.WithTimeFunc(cfg.Now),
	}
	if k.Issuer != "" {
		options = append(options, jwt.WithIssuer(k.Issuer))
	}
	if k.Audience != "" {
		options = append(options, jwt.WithAudience(k.Audience))
	}
	return jwt.NewValidator(options...)
}
