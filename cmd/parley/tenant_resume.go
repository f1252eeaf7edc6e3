package main

import "parley/admin"

type tenantResumeCmd struct {
	remote
	asJSON
	ID string `arg:"" help:"Id of the tenant."`
}

// Run opens a tenant again.
func (cmd *tenantResumeCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		t, err := client.ResumeTenant(c.ctx, cmd.ID)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(t)
		}
		return c.printLine(string(t.ID))
	})
}
