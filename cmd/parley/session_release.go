package main

import (
	"parley/admin"
	"parley/sessions"
)

type sessionReleaseCmd struct {
	oneSession
	asOperator
	asJSON
}

// Run prints the session's id once it is the AI's again.
func (cmd *sessionReleaseCmd) Run(c *console) error {
	return cmd.order(c, cmd.JSON, func(client *admin.Client) (sessions.Overview, error) {
		return client.Release(c.ctx, cmd.Tenant, cmd.ID, admin.Order{Operator: cmd.name()})
	})
}
