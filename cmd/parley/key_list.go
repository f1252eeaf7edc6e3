package main

import "parley/admin"

type keyListCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
}

// Run prints a tenant's keys, without what they are made of.
func (cmd *keyListCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		keys, err := client.Keys(c.ctx, cmd.Tenant)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(admin.Keys{Keys: keys})
		}
		return c.printKeys(keys)
	})
}
