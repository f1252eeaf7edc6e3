package main

import "parley/admin"

type deadletterDropCmd struct{ deadletterNumbers }

// Help shows what the command is for.
func (deadletterDropCmd) Help() string {
	return `The message itself stays in its channel until its retention ends.

  parley deadletter drop --tenant acme 3 4`
}

// Run prints the number of each dead letter that it has taken off the list.
func (cmd *deadletterDropCmd) Run(c *console) error {
	return cmd.each(c, func(client *admin.Client, n uint64) error { return client.DropDeadLetter(c.ctx, cmd.Tenant, n) })
}
