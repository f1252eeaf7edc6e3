package main

import (
	"strings"

	"parley/admin/adminkey"
)

type adminkeyCmd struct {
	Create adminkeyCreateCmd `cmd:"" help:"Print a new admin key. It can't be shown again."`
	List   adminkeyListCmd   `cmd:"" help:"List the named admin keys."`
	Revoke adminkeyRevokeCmd `cmd:"" help:"Refuse an admin key from now on, on all nodes."`
}

// printAdminKeys prints admin keys as a table.
func (c *console) printAdminKeys(keys []adminkey.Key) error {
	rows := [][]string{{"NAME", "ROLE", "TENANTS", "STATE", "CREATED", "LAST USED"}}
	for _, k := range keys {
		only := "all"
		if len(k.Tenants) > 0 {
			names := make([]string, len(k.Tenants))
			for i, t := range k.Tenants {
				names[i] = string(t)
			}
			only = strings.Join(names, ",")
		}
		rows = append(rows, []string{k.Name, string(k.Role), only, keyState(k.Revoked, k.NotAfter), when(k.Created), when(k.LastUsed)})
	}
	return c.table(rows...)
}
