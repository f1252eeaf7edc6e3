package rest

import (
	"parley/frontends/frame"
	"parley/internal/fault"
	"parley/sessions"
	"parley/tenants"
)

// maxUserBytes is the limit on a user's id, which may be any that its tenant has chosen.
const maxUserBytes = 128

// CheckUser returns fault.InvalidFormat for what can't be a user's id.
func CheckUser(user string) error {
	if user == "" || len(user) > maxUserBytes || !frame.Printable(user) {
		return fault.New(fault.InvalidFormat, "A user_id is 1 to %d bytes of printable text", maxUserBytes).WithFix("Use another user_id.")
	}
	return nil
}

// Actor returns who acts. With a token it is the token's user, who may name nobody but himself; with an API key it is the
// user who is named or, when none is, the tenant's back end, which may see all that the tenant's users have
// (sessions.Principal.Operator). Errors are fault.PermissionDenied and InvalidFormat.
func Actor(g *tenants.Grant, needs tenants.Scope, named string) (sessions.Principal, error) {
	who := sessions.Principal{Tenant: g.Tenant, Account: g.Account, User: string(g.Agent), Claims: g.Claims}
	if err := Need(g, needs); err != nil {
		return who, err
	}
	switch {
	case g.APIKey == "" && named != "" && named != who.User:
		return who, fault.New(fault.PermissionDenied, "The token is not for user_id '%s'", shortened(named)).
			WithFix("Use the user_id that the token was issued for.")
	case g.APIKey == "":
		return who, nil
	case named == "":
		who.User, who.Operator = "apikey:"+g.APIKey, true
		return who, nil
	}
	who.User = named
	return who, CheckUser(named)
}

// Need returns fault.PermissionDenied unless an API key has a scope.
func Need(g *tenants.Grant, s tenants.Scope) error {
	if g.Has(s) {
		return nil
	}
	return fault.New(fault.PermissionDenied, "The API key lacks the scope %s", s).
		WithFix("Use a key that has it, or make one: parley apikey create --scope %s", s)
}

// shortened bounds how much of what somebody sent wrongly is told back.
func shortened(s string) string {
	if len(s) <= maxUserBytes {
		return s
	}
	return s[:maxUserBytes] + "…"
}
