package main

import "parley/admin"

type agentKickCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
	ID     string `arg:"" help:"Id of the agent, or of a user of chat."`
	Revoke bool   `help:"Also refuse all its tokens that were issued until now, so that it can't come back with them."`
}

// Help shows what is typed most.
func (agentKickCmd) Help() string {
	return `Its connections are closed with 4509, on all nodes. Without --revoke a client that does not obey can connect again.

Examples:
  parley agent kick --tenant acme alice
  parley agent kick --tenant acme alice --revoke`
}

// Run closes an agent's connections and prints its id.
func (cmd *agentKickCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		kicked, err := client.KickAgent(c.ctx, cmd.Tenant, cmd.ID, admin.Kick{Revoke: cmd.Revoke})
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(kicked)
		}
		return c.printLine(kicked.Agent)
	})
}
