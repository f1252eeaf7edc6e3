package main

import "parley/admin"

type keyRevokeCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
	Kid    string `arg:"" help:"Id of the key."`
}

// Run revokes a key; it verifies nothing any more when the command returns.
func (cmd *keyRevokeCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		k, err := client.RevokeKey(c.ctx, cmd.Tenant, cmd.Kid)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(k)
		}
		return c.printLine(k.Kid)
	})
}
