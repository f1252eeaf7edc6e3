package main

import "parley/admin"

type apikeyRevokeCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
	ID     string `arg:"" help:"Id of the API key."`
}

// Run revokes an API key; it is good for nothing any more when the command returns.
func (cmd *apikeyRevokeCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		k, err := client.RevokeAPIKey(c.ctx, cmd.Tenant, cmd.ID)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(k)
		}
		return c.printLine(k.ID)
	})
}
