package main

import (
	"strings"
	"time"

	"parley/tenants"
)

type credsCmd struct {
	Issue  credsIssueCmd  `cmd:"" help:"Print the text of a .creds file, with which a service connects to NATS."`
	List   credsListCmd   `cmd:"" help:"List the credentials of a tenant's services."`
	Revoke credsRevokeCmd `cmd:"" help:"Cut services off, and refuse their credentials from now on."`
}

// printCreds prints credentials as a table.
func (c *console) printCreds(all []tenants.Creds) error {
	rows := [][]string{{"NAME", "ROLE", "STATE", "CREATED", "PUBLISHES", "SUBSCRIBES", "USER KEY"}}
	for _, one := range all {
		role := one.Role
		if one.Queue != "" {
			role += " of " + string(one.Queue)
		}
		rows = append(rows, []string{
			one.Name, role, credsState(one), when(one.Created), orDash(strings.Join(one.Publish, ",")), orDash(strings.Join(one.Subscribe, ",")), one.UserKey,
		})
	}
	return c.table(rows...)
}

func credsState(one tenants.Creds) string {
	switch {
	case !one.Revoked.IsZero():
		return "revoked"
	case !one.Live(time.Now()):
		return "expired"
	case !one.Expires.IsZero():
		return "until " + when(one.Expires)
	}
	return "live"
}
