package main

import (
	"parley/admin"
	"parley/tenants"
)

type tenantCreateCmd struct {
	remote
	asJSON
	ID   string `arg:"" help:"Id of the tenant: letters, digits, _ and -."`
	Name string `help:"Name for people."`
	limitFlags
}

// Run prints the tenant's id. Making one that exists already is no error when it is the same.
func (cmd *tenantCreateCmd) Run(c *console) error {
	limits, err := tenants.ParseLimits(cmd.Limit)
	if err != nil {
		return err
	}
	return cmd.with(c, func(client *admin.Client) error {
		t, created, err := client.CreateTenant(c.ctx, admin.NewTenant{ID: tenants.ID(cmd.ID), Name: cmd.Name, Limits: limits})
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(t)
		}
		if err := c.printLine(string(t.ID)); err != nil {
			return err
		}
		if !created {
			c.hint("The tenant was there already.")
			return nil
		}
		c.hint(nextText, c.self, t.ID, cmd.again())
		return nil
	})
}

const nextText = `
Next:
  %[1]s token issue%[3]s --tenant %[2]s --agent alice
  %[1]s creds issue%[3]s --tenant %[2]s --name backend > backend.creds
  %[1]s channel tail%[3]s --tenant %[2]s general`
