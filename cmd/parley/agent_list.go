package main

import (
	"strconv"

	"parley/admin"
)

type agentListCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
}

// Run prints a tenant's agents.
func (cmd *agentListCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		all, err := client.Agents(c.ctx, cmd.Tenant)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(admin.Agents{Agents: all})
		}
		rows := [][]string{{"AGENT", "STATUS", "SOCKETS", "LAST SEEN"}}
		for _, a := range all {
			rows = append(rows, []string{string(a.ID), string(a.Status), strconv.Itoa(a.Sockets), when(a.LastSeen)})
		}
		return c.table(rows...)
	})
}
