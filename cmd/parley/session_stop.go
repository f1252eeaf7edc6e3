package main

import (
	"parley/admin"
	"parley/sessions"
)

type sessionStopCmd struct {
	oneSession
	asJSON
}

// Run prints the session's id once no answer is being given.
func (cmd *sessionStopCmd) Run(c *console) error {
	return cmd.order(c, cmd.JSON, func(client *admin.Client) (sessions.Overview, error) {
		return client.Stop(c.ctx, cmd.Tenant, cmd.ID, admin.Order{})
	})
}
