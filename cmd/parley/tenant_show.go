package main

import (
	"cmp"
	"errors"
	"strings"

	"parley/admin"
)

type tenantShowCmd struct {
	remote
	asJSON
	ID string `arg:"" help:"Id of the tenant."`
}

// Run prints one tenant.
func (cmd *tenantShowCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		t, err := client.Tenant(c.ctx, cmd.ID)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(t)
		}
		err = c.table([]string{"Tenant:", string(t.ID)}, []string{"Name:", t.Name}, []string{"State:", string(t.State)},
			[]string{"Created:", when(t.Created)}, []string{"Account:", string(t.Account)},
			[]string{"Origins:", cmp.Or(strings.Join(t.Origins, ", "), "any")}, []string{""})
		if err != nil {
			return err
		}
		if err := c.printKeys(t.Keys); err != nil {
			return err
		}
		if len(t.Revocations) > 0 {
			if err := errors.Join(c.printLine(""), c.printRevocations(t.Revocations)); err != nil {
				return err
			}
		}
		return c.printLimits(t.Limits)
	})
}
