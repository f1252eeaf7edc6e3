package main

import (
	"fmt"

	"parley/admin"
	"parley/internal/fault"
	"parley/rooms"
)

type roomListCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
	Limit  int    `default:"100" help:"How many to list at most. Defaults to 100."`
}

// Run prints rooms, page by page.
func (cmd *roomListCmd) Run(c *console) error {
	if cmd.Limit < 1 {
		return fault.New(fault.Usage, "The limit is a number from 1 on.")
	}
	return cmd.with(c, func(client *admin.Client) error {
		all := admin.Rooms{Rooms: []rooms.Info{}}
		for {
			n := len(all.Rooms)
			page, err := client.Rooms(c.ctx, cmd.Tenant, n, min(cmd.Limit-n, admin.MaxSessions))
			if err != nil {
				return err
			}
			all.Rooms, all.Total = append(all.Rooms, page.Rooms...), page.Total
			if n = len(all.Rooms); len(page.Rooms) == 0 || n >= cmd.Limit || n >= all.Total {
				break
			}
		}
		if cmd.JSON {
			return c.printJSON(all)
		}
		rows := [][]string{{"ROOM", "NAME", "PEOPLE", "CREATED"}}
		for _, r := range all.Rooms {
			rows = append(rows, []string{r.ID, orDash(oneLine(r.Name)), people(r), when(r.Created)})
		}
		return c.table(rows...)
	})
}

// people says how full a room is.
func people(r rooms.Info) string { return fmt.Sprintf("%d of %d", len(r.Participants), r.Max) }
