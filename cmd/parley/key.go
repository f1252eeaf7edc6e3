package main

import (
	"time"

	"parley/tenants"
)

type keyCmd struct {
	Add    keyAddCmd    `cmd:"" help:"Add a key; tokens signed with it are accepted."`
	List   keyListCmd   `cmd:"" help:"List a tenant's keys."`
	Rotate keyRotateCmd `cmd:"" help:"Sign with a new key from now on; the old one is good for a while."`
	Revoke keyRevokeCmd `cmd:"" help:"Refuse tokens signed with a key from now on, also on open connections."`
}

// printKeys prints keys as a table. What they are made of is not in it.
func (c *console) printKeys(keys []tenants.Key) error {
	rows := [][]string{{"KEY", "ALG", "KIND", "STATE", "CREATED", "ISSUER", "AUDIENCE"}}
	for _, k := range keys {
		rows = append(rows, []string{k.Kid, string(k.Alg), keyKind(k), keyState(k.Revoked, k.NotAfter), when(k.Created), orDash(k.Issuer), orDash(k.Audience)})
	}
	return c.table(rows...)
}

func keyKind(k tenants.Key) string {
	switch {
	case k.JWKSURL != "":
		return k.JWKSURL
	case k.PublicKey != "" && k.CanSign:
		return "pair"
	case k.PublicKey != "":
		return "public"
	}
	return "secret"
}

// keyState says in a word or two how it stands with a key of any kind: the zero times mean that it is not revoked, and that
// it has no end.
func keyState(revoked, notAfter time.Time) string {
	switch {
	case !revoked.IsZero():
		return "revoked"
	case notAfter.IsZero():
		return "live"
	case !time.Now().Before(notAfter):
		return "expired"
	}
	return "until " + when(notAfter)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
