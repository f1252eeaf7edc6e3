package main

import (
	"parley/admin"
	"parley/sessions"
)

type sessionQueueCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
}

// Help shows what the command is for.
func (sessionQueueCmd) Help() string {
	return `A user who asks for a human waits here until an operator claims the conversation. Until then the AI answers.

  parley session queue --tenant acme
  parley session claim --tenant acme ID
  parley session tail --tenant acme ID
  parley session reply --tenant acme ID "Hello, this is Otto."
  parley session release --tenant acme ID`
}

// Run prints who waits, the longest waiting first.
func (cmd *sessionQueueCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		waiting, err := client.Queue(c.ctx, cmd.Tenant)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(admin.Sessions{Sessions: append([]sessions.Overview{}, waiting...), Total: len(waiting)})
		}
		return c.table(sessionRows(waiting)...)
	})
}
