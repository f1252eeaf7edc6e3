package main

import "parley/admin"

type apikeyListCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
}

// Run prints a tenant's API keys, without what they are made of, which the server does not know.
func (cmd *apikeyListCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		keys, err := client.APIKeys(c.ctx, cmd.Tenant)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(admin.APIKeys{APIKeys: keys})
		}
		return c.printAPIKeys(keys)
	})
}
