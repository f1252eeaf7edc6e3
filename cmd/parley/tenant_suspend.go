package main

import "parley/admin"

type tenantSuspendCmd struct {
	remote
	asJSON
	ID string `arg:"" help:"Id of the tenant."`
}

// Run shuts a tenant; it is shut when the command returns.
func (cmd *tenantSuspendCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		t, err := client.SuspendTenant(c.ctx, cmd.ID)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(t)
		}
		return c.printLine(string(t.ID))
	})
}
