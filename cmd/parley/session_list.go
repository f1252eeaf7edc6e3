package main

import (
	"strconv"

	"parley/admin"
	"parley/internal/fault"
	"parley/sessions"
)

type sessionListCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
	User   string `help:"List this user's only."`
	Limit  int    `default:"100" help:"How many to list at most. Defaults to 100."`
}

// Run prints sessions, page by page.
func (cmd *sessionListCmd) Run(c *console) error {
	if cmd.Limit < 1 {
		return fault.New(fault.Usage, "The limit is a number from 1 on.")
	}
	return cmd.with(c, func(client *admin.Client) error {
		all := admin.Sessions{Sessions: []sessions.Overview{}}
		for {
			n := len(all.Sessions)
			page, err := client.Sessions(c.ctx, cmd.Tenant, cmd.User, n, min(cmd.Limit-n, admin.MaxSessions))
			if err != nil {
				return err
			}
			all.Sessions, all.Total = append(all.Sessions, page.Sessions...), page.Total
			if n = len(all.Sessions); len(page.Sessions) == 0 || n >= cmd.Limit || n >= all.Total {
				break
			}
		}
		if cmd.JSON {
			return c.printJSON(all)
		}
		return c.table(sessionRows(all.Sessions)...)
	})
}

func sessionRows(all []sessions.Overview) [][]string {
	rows := [][]string{{"SESSION", "USER", "ANSWERED BY", "MESSAGES", "LAST EVENT", "TITLE"}}
	for _, o := range all {
		rows = append(rows, []string{
			o.ID, oneLine(o.User), oneLine(answerer(o.State)), strconv.Itoa(o.State.Messages), when(o.Changed), oneLine(o.Title),
		})
	}
	return rows
}
