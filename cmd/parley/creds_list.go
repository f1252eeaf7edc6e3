package main

import "parley/admin"

type credsListCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
}

// Run prints a tenant's credentials, without the secrets, which the server does not know.
func (cmd *credsListCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		all, err := client.Creds(c.ctx, cmd.Tenant)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(admin.AllCreds{Creds: all})
		}
		return c.printCreds(all)
	})
}
