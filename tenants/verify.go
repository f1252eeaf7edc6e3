package tenants

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/fault"
)

// resident is a tenant as it lives in memory: the record, and its keys and revocations made ready.
type resident struct {
	tenant  Tenant
	ring    *keyring
	refused refusals
}

// verifier turns tokens into grants. It knows tenants only through lookup, which reports false for unknown and deleted
// ones.
type verifier struct {
	cfg    Config
	lookup func(ID) (resident, bool)
	seen   *seenTokens
	decoys decoys
	log    *slog.Logger
}

func newVerifier(cfg Config, lookup func(ID) (resident, bool), log *slog.Logger) (*verifier, error) {
	decoys, err := newDecoys()
	if err != nil {
		return nil, fmt.Errorf("make decoy keys: %w", err)
	}
	return &verifier{cfg: cfg, lookup: lookup, seen: newSeenTokens(cfg.CacheTokens), decoys: decoys, log: log}, nil
}

// errUnproven is the one answer for a tenant that does not exist, a key that it does not have and a signature that is
// wrong, so that nobody can ask which tenants there are. What exactly it was is in the cause, for the log.
var errUnproven = fault.New(fault.AuthFailed, "The token's signature is not one of a key of its tenant.").
	WithFix("Get a new token, signed with a live key of the tenant.")

func unproven(cause error) error {
	e := *errUnproven
	e.Err = cause
	return &e
}

// note receives each step of a verification and what came of it. nil means that nobody wants to know.
type note func(step, found string)

// take is called with what would have to be written down.
func (n note) take(step string, found func() string) {
	if n != nil {
		n(step, found())
	}
}

// verify is Registry.Verify.
func (v *verifier) verify(ctx context.Context, token string) (*Grant, error) {
	if err := checkSize(token); err != nil { // before hashing it
		return nil, err
	}
	sum := sha256.Sum256([]byte(token))
	if g, ok := v.remembered(sum); ok {
		return g, nil
	}
	g, entry, revision, err := v.check(ctx, token, nil)
	if err != nil {
		return nil, err
	}
	v.seen.put(sum, seenToken{grant: g, revision: revision, until: v.rememberUntil(g, entry)})
	return g, nil
}

// remembered returns the grant of a token that was verified before, if nothing has changed since.
func (v *verifier) remembered(sum [sha256.Size]byte) (*Grant, bool) {
	seen, ok := v.seen.get(sum)
	if !ok || !v.cfg.Now().Before(seen.until) {
		return nil, false
	}
	r, ok := v.lookup(seen.grant.Tenant)
	return seen.grant, ok && r.tenant.Revision == seen.revision
}

// rememberUntil says when a verified token has to be verified again. Of keys that are withdrawn at an identity provider
// no change of the tenant tells.
func (v *verifier) rememberUntil(g *Grant, e *ringEntry) time.Time {
	if soon := v.cfg.Now().Add(keySetFresh / 3); e.set != nil && soon.Before(g.Expires) {
		return soon
	}
	return g.Expires
}

// check verifies a token from scratch. The order matters: what is said before the signature is known to be good depends
// on nothing but the token itself.
func (v *verifier) check(ctx context.Context, token string, note note) (*Grant, *ringEntry, uint64, error) {
	p, err := cut(token)
	if err != nil {
		return nil, nil, 0, err
	}
	note.take("form", func() string { return fmt.Sprintf("algorithm %s, key id %q", p.header.Alg, p.header.Kid) })
	claimed, err := decodeClaims(p.payload)
	if err != nil {
		return nil, nil, 0, err
	}
	note.take("claims", func() string { return fmt.Sprintf("tenant %s", claimed.Tenant) })
	r, known := v.lookup(ID(claimed.Tenant))
	entry, err := v.prove(ctx, p, claimed, r, known, note)
	if err != nil {
		return nil, nil, 0, err
	}
	g, err := newGrant(claimed)
	if err != nil {
		return nil, nil, 0, err
	}
	if err := v.checkLife(g); err != nil {
		return nil, nil, 0, err
	}
	g.Kid, g.Account = entry.key.Kid, r.tenant.Account
	if end := entry.key.NotAfter; !end.IsZero() && end.Before(g.Expires) {
		g.Expires = end
	}
	note.take("grant", func() string { return fmt.Sprintf("agent %s until %s", g.Agent, g.Expires.Format(time.RFC3339)) })
	if err := r.refused.check(g); err != nil {
		return nil, nil, 0, err
	}
	note.take("revocations", func() string { return fmt.Sprintf("none of %d fits", len(r.tenant.Revocations)) })
	if r.tenant.Suspended() {
		return nil, nil, 0, suspended(g.Tenant)
	}
	return g, entry, r.tenant.Revision, nil
}

func suspended(id ID) error {
	return fault.New(fault.TenantSuspended, "The tenant %s is suspended.", id)
}

// prove finds the key that signed the token, which vouches for the claims then.
func (v *verifier) prove(ctx context.Context, p parts, claimed *claims, r resident, known bool, note note) (*ringEntry, error) {
	var candidates []*ringEntry
	if known {
		candidates = r.ring.candidates(p.header, v.cfg.Now())
		note.take("tenant", func() string { return fmt.Sprintf("known, %s, %d of its keys fit", r.tenant.State, len(candidates)) })
	}
	if len(candidates) == 0 {
		// As much work as for a tenant that has the key, so that the clock does not tell them apart either.
		v.decoys.verify(p)
		return nil, unproven(fmt.Errorf("tenant %s known: %t; no live key for %s %q", p.header.Alg, known, p.header.Alg, p.header.Kid))
	}
	var causes []error
	for _, e := range candidates {
		if err := e.checkSignature(ctx, p); err != nil {
			causes = append(causes, fmt.Errorf("key %q: %w", e.key.Kid, err))
			continue
		}
		note.take("signature", func() string { return fmt.Sprintf("good, by key %q", e.key.Kid) })
		if err := e.validator.Validate(claimed); err != nil { // said only of tokens whose signature is good
			return nil, v.refusal(err, e, claimed)
		}
		return e, nil
	}
	return nil, unproven(errors.Join(causes...))
}

// refusal says what is wrong with the claims of a token that is signed as it should be.
func (v *verifier) refusal(err error, e *ringEntry, c *claims) error {
	switch {
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing) && c.Expires == nil:
		return badClaim("exp", "is missing")
	case errors.Is(err, jwt.ErrTokenInvalidIssuer), e.key.Issuer != "" && c.Issuer != e.key.Issuer:
		return badClaim("iss", "is not the issuer of the key")
	case errors.Is(err, jwt.ErrTokenInvalidAudience), e.key.Audience != "" && len(c.Audience.items) == 0:
		return badClaim("aud", "does not name the audience of the key")
	case errors.Is(err, jwt.ErrTokenExpired):
		return expired(c.Expires.time())
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return fault.New(fault.AuthFailed, "The token is not valid before %s.", c.NotBefore.time().Format(time.RFC3339))
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return badClaim("iat", "lies in the future")
	}
	return fault.Wrap(fault.AuthFailed, err, "The token's claims are not valid.")
}

func expired(at time.Time) error {
	return fault.New(fault.TokenExpired, "The token expired at %s.", at.Format(time.RFC3339)).WithFix("Get a new token.")
}

// checkLife refuses tokens that would live longer than allowed: a stolen one would, too. There is no leeway at the end: a
// connection is closed when its token ends, and the token must not open the next one.
func (v *verifier) checkLife(g *Grant) error {
	if !v.cfg.Now().Before(g.Expires) {
		return expired(g.Expires)
	}
	from := g.Issued
	if from.IsZero() {
		from = v.cfg.Now()
	}
	if g.Expires.Before(from) {
		return badClaim("exp", "lies before iat")
	}
	if g.Expires.Sub(from) > v.cfg.MaxTokenLife+v.cfg.Leeway {
		return fault.New(fault.AuthFailed, "The token lives longer than the %s allowed.", v.cfg.MaxTokenLife)
	}
	return nil
}
