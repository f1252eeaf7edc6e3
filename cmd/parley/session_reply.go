package main

import (
	"strings"

	"parley/admin"
)

type sessionReplyCmd struct {
	oneSession
	asOperator
	asJSON
	Text      string `arg:"" help:"What to say; - reads it from stdin."`
	MessageID string `placeholder:"ID" help:"Id of the message: a repetition with the same one is stored once. Defaults to a fresh one."`
}

// Run prints the id of what was said.
func (cmd *sessionReplyCmd) Run(c *console) error {
	if cmd.Text == "-" {
		b, err := c.readFile("-")
		if err != nil {
			return err
		}
		cmd.Text = strings.TrimSuffix(string(b), "\n")
	}
	return cmd.with(c, func(client *admin.Client) error {
		said, err := client.Reply(c.ctx, cmd.Tenant, cmd.ID, admin.Order{Operator: cmd.name(), ID: cmd.MessageID, Text: cmd.Text})
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(said)
		}
		if said.Duplicate {
			c.hint("A message with this id was there already.")
		}
		return c.printLine(said.ID)
	})
}
