package main

import "parley/admin"

type roomMoveCmd struct {
	inRoom
	To string `required:"" placeholder:"ROOM" help:"Id of the other room; it is made if need be."`
}

// Help shows what the command is for.
func (roomMoveCmd) Help() string {
	return `Their connections go with them.

  parley room move --tenant acme lobby 01a1ff04-9080-72b0-b1ab-b273ac146b1c --to standup`
}

// Run prints the id of each participant that is in the other room now.
func (cmd *roomMoveCmd) Run(c *console) error {
	return cmd.each(c, func(client *admin.Client, participant string) error {
		_, err := client.Move(c.ctx, cmd.Tenant, cmd.ID, participant, admin.Transfer{To: cmd.To})
		return err
	})
}
