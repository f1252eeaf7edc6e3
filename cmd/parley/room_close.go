package main

import "parley/admin"

type roomCloseCmd struct{ oneRoom }

// Help shows what the command is for.
func (roomCloseCmd) Help() string {
	return `Everybody in it is told. Whoever joins it afterwards makes it anew.

  parley room close --tenant acme standup`
}

// Run prints the room's id once nobody is in it.
func (cmd *roomCloseCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		if err := client.CloseRoom(c.ctx, cmd.Tenant, cmd.ID); err != nil {
			return err
		}
		return c.printLine(cmd.ID)
	})
}
