package main

import (
	"strconv"
	"strings"

	"parley/admin"
)

type agentShowCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
	ID     string `arg:"" help:"Id of the agent."`
}

// Run prints one agent.
func (cmd *agentShowCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		a, err := client.Agent(c.ctx, cmd.Tenant, cmd.ID)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(a)
		}
		names := make([]string, len(a.Channels))
		for i, name := range a.Channels {
			names[i] = string(name)
		}
		return c.table([]string{"Agent:", string(a.ID)}, []string{"Status:", string(a.Status)}, []string{"Sockets:", strconv.Itoa(a.Sockets)},
			[]string{"Channels:", orDash(strings.Join(names, ", "))}, []string{"Last seen:", when(a.LastSeen)})
	})
}
