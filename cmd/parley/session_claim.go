package main

import (
	"parley/admin"
	"parley/sessions"
)

type sessionClaimCmd struct {
	oneSession
	asOperator
	asJSON
}

// Run prints the session's id once it is the operator's, and says what he can do with it.
func (cmd *sessionClaimCmd) Run(c *console) error {
	operator := cmd.name()
	err := cmd.order(c, cmd.JSON, func(client *admin.Client) (sessions.Overview, error) {
		return client.Claim(c.ctx, cmd.Tenant, cmd.ID, admin.Order{Operator: operator})
	})
	if err != nil || cmd.JSON {
		return err
	}
	again := cmd.again() + " --tenant " + cmd.Tenant
	named := again
	if cmd.Operator != "" {
		named += " --operator " + cmd.Operator
	}
	c.hint("%s has the conversation; the AI is silent. Next:", oneLine(operator))
	c.hint("  %s session tail%s %s", c.self, again, cmd.ID)
	c.hint("  %s session reply%s %s \"…\"", c.self, named, cmd.ID)
	c.hint("  %s session release%s %s", c.self, named, cmd.ID)
	return nil
}
