package main

import (
	"strings"

	"parley/tenants"
)

type apikeyCmd struct {
	Create apikeyCreateCmd `cmd:"" help:"Print a new API key. It can't be shown again."`
	List   apikeyListCmd   `cmd:"" help:"List a tenant's API keys."`
	Revoke apikeyRevokeCmd `cmd:"" help:"Refuse an API key from now on, also on open connections."`
}

// printAPIKeys prints API keys as a table.
func (c *console) printAPIKeys(keys []tenants.APIKey) error {
	rows := [][]string{{"ID", "NAME", "BEGINS WITH", "SCOPES", "STATE", "CREATED", "LAST USED"}}
	for _, k := range keys {
		scopes := make([]string, len(k.Scopes))
		for i, s := range k.Scopes {
			scopes[i] = string(s)
		}
		rows = append(rows, []string{k.ID, orDash(k.Name), k.Prefix, strings.Join(scopes, ","), keyState(k.Revoked, k.NotAfter), when(k.Created), when(k.LastUsed)})
	}
	return c.table(rows...)
}
