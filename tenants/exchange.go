package tenants

import (
	"context"
	"time"

	"parley/internal/fault"
)

// Exchange returns an access token for what a login token has proven: of the same user, with the same channels,
// permissions and further claims, and with a life of ttl, but not beyond the login token's. Errors are fault.AuthFailed
// (the grant is no login), TenantSuspended, and Unavailable when the tenant has no key with which the broker could sign.
func (r *Registry) Exchange(ctx context.Context, login *Grant, ttl time.Duration) (token string, life time.Duration, err error) {
	if !login.Login {
		return "", 0, fault.New(fault.AuthFailed, "The token is no login token.").
			WithFix("Get one whose claim typ, or scope, is login.")
	}
	life = min(ttl, login.Expires.Sub(r.cfg.Now())).Truncate(time.Second)
	if life < time.Second {
		return "", 0, expired(login.Expires)
	}
	token, err = r.IssueToken(ctx, login.access(life))
	if fault.CodeOf(err) == fault.NotFound {
		err = fault.Wrap(fault.Unavailable, err, "The tenant has no key with which the broker could sign an access token.").
			WithFix("Its administrator adds one: parley key add --tenant %s", login.Tenant)
	}
	return token, life, err
}

// access asks for a token that allows what the grant would, were it no login.
func (g *Grant) access(life time.Duration) TokenSpec {
	spec := TokenSpec{
		Tenant: g.Tenant, User: g.Agent, TTL: life, Claims: g.Claims,
		Permissions: &Permissions{Publish: g.publishes.spec(), Subscribe: g.subscribes.spec()},
	}
	if !g.anyChannel {
		spec.Channels = append([]string{}, g.channels...) // never nil, which would mean every channel
	}
	if !g.anyRoom {
		spec.Rooms = append([]string{}, g.rooms...) // as above
	}
	return spec
}

func (r rule) spec() Rule {
	s := Rule{Deny: r.deny}
	if r.limited {
		s.Allow = append([]string{}, r.allow...)
	}
	return s
}
