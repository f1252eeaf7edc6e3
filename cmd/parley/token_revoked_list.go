package main

import "parley/admin"

type tokenRevokedListCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
}

// Run prints a tenant's revocations.
func (cmd *tokenRevokedListCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		all, err := client.Revocations(c.ctx, cmd.Tenant)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(admin.Revocations{Revocations: all})
		}
		return c.printRevocations(all)
	})
}
