package main

import (
	"strconv"

	"parley/admin"
	"parley/internal/fault"
	"parley/sessions"
)

type sessionShowCmd struct {
	oneSession
	asJSON
	Limit int `default:"20" help:"How many of the newest messages to print. Defaults to 20."`
}

// Run prints one session and what was said in it last.
func (cmd *sessionShowCmd) Run(c *console) error {
	if cmd.Limit < 0 || cmd.Limit > admin.MaxSessions {
		return fault.New(fault.Usage, "The limit is a number from 0 to %d.", admin.MaxSessions).WithFix("All of it prints: parley session tail --json")
	}
	return cmd.with(c, func(client *admin.Client) error {
		o, err := client.Session(c.ctx, cmd.Tenant, cmd.ID)
		if err != nil {
			return err
		}
		said, err := client.Said(c.ctx, cmd.Tenant, cmd.ID, max(0, o.State.Messages-cmd.Limit), cmd.Limit)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(struct {
				sessions.Overview
				Said []*sessions.Event `json:"said"`
			}{o, said.Messages})
		}
		rows := [][]string{
			{"Session:", o.ID},
			{"User:", oneLine(o.User)},
			{"Title:", orDash(oneLine(o.Title))},
			{"Created:", when(o.Created)},
			{"Answered by:", oneLine(answerer(o.State))},
			{"Messages:", strconv.Itoa(o.State.Messages)},
			{"Last event:", when(o.Changed)},
			{""},
		}
		if err := c.table(rows...); err != nil {
			return err
		}
		reader := transcript{out: c.stdout}
		for _, e := range said.Messages {
			reader.tell(e)
		}
		return reader.err
	})
}
