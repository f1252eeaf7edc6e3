package main

import (
	"parley/admin"
	"parley/tenants"
)

type tenantListCmd struct {
	remote
	asJSON
}

// Run prints all tenants. For people they come page by page, as the server gives them.
func (cmd *tenantListCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		if cmd.JSON {
			all, err := client.Tenants(c.ctx)
			if err != nil {
				return err
			}
			return c.printJSON(admin.Tenants{Tenants: all})
		}
		rows := [][]string{{"TENANT", "STATE", "CREATED", "NAME"}}
		return client.EachTenants(c.ctx, func(page []tenants.Tenant) error {
			for _, t := range page {
				rows = append(rows, []string{string(t.ID), string(t.State), when(t.Created), t.Name})
			}
			err := c.table(rows...)
			rows = nil
			return err
		})
	})
}
