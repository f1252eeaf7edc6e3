package main

import "parley/admin"

type roomKickCmd struct{ inRoom }

// Help shows what the command is for.
func (roomKickCmd) Help() string {
	return `They are told, and may join again: to keep somebody out, revoke the token, too.

  parley room kick --tenant acme standup 01a1ff04-9080-72b0-b1ab-b273ac146b1c`
}

// Run prints the id of each participant that is not in the room any more.
func (cmd *roomKickCmd) Run(c *console) error {
	return cmd.each(c, func(client *admin.Client, participant string) error {
		return client.Kick(c.ctx, cmd.Tenant, cmd.ID, participant)
	})
}
