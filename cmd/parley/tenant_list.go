package main

import "parley/admin"

type tenantListCmd struct {
	remote
	asJSON
}

// Run prints all tenants.
func (cmd *tenantListCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		all, err := client.Tenants(c.ctx)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(admin.Tenants{Tenants: all})
		}
		rows := [][]string{{"TENANT", "STATE", "CREATED", "NAME"}}
		for _, t := range all {
			rows = append(rows, []string{string(t.ID), string(t.State), when(t.Created), t.Name})
		}
		return c.table(rows...)
	})
}
