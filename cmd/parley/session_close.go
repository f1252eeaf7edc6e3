package main

import (
	"parley/admin"
	"parley/sessions"
)

type sessionCloseCmd struct {
	oneSession
	asOperator
	asJSON
	Reason string `help:"What the user is told."`
}

// Run prints the session's id once it is closed.
func (cmd *sessionCloseCmd) Run(c *console) error {
	return cmd.order(c, cmd.JSON, func(client *admin.Client) (sessions.Overview, error) {
		return client.CloseSession(c.ctx, cmd.Tenant, cmd.ID, admin.Order{Operator: cmd.name(), Text: cmd.Reason})
	})
}
