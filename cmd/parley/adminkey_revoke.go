package main

import "parley/admin"

type adminkeyRevokeCmd struct {
	remote
	asJSON
	Name string `arg:"" help:"Name of the admin key."`
}

// Run revokes a named key; it is good for nothing any more, on any node, when the command returns.
func (cmd *adminkeyRevokeCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		k, err := client.RevokeAdminKey(c.ctx, cmd.Name)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(k)
		}
		return c.printLine(k.Name)
	})
}
