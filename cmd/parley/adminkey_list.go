package main

import "parley/admin"

type adminkeyListCmd struct {
	remote
	asJSON
}

// Run prints the named keys, without what they are made of, which the server does not know.
func (cmd *adminkeyListCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		keys, err := client.AdminKeys(c.ctx)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(admin.NamedKeys{AdminKeys: keys})
		}
		return c.printAdminKeys(keys)
	})
}
