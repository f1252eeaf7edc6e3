package main

import (
	"parley/admin"
)

type roomShowCmd struct {
	oneRoom
	asJSON
}

// Run prints one room, and who is in it.
func (cmd *roomShowCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		r, err := client.Room(c.ctx, cmd.Tenant, cmd.ID)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(r)
		}
		if err := c.table([]string{"Room:", r.ID}, []string{"Name:", orDash(oneLine(r.Name))}, []string{"People:", people(r)},
			[]string{"Created:", when(r.Created)}); err != nil || len(r.Participants) == 0 {
			return err
		}
		rows := [][]string{{""}, {"PARTICIPANT", "NAME", "JOINED"}}
		for _, p := range r.Participants {
			rows = append(rows, []string{p.ID, oneLine(p.Name), when(p.Joined)})
		}
		return c.table(rows...)
	})
}
