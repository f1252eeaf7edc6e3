package main

import "parley/admin"

type deadletterReplayCmd struct{ deadletterNumbers }

// Help shows what the command is for.
func (deadletterReplayCmd) Help() string {
	return `Each comes again as a new delivery at the receiver that did not take it, and only there; it leaves the list.

  parley deadletter replay --tenant acme 3 4`
}

// Run prints the number of each dead letter that it has sent out again.
func (cmd *deadletterReplayCmd) Run(c *console) error {
	return cmd.each(c, func(client *admin.Client, n uint64) error { return client.ReplayDeadLetter(c.ctx, cmd.Tenant, n) })
}
