package main

import (
	"cmp"
	"strconv"

	"parley/admin"
)

type nodeListCmd struct {
	remote
	asJSON
}

// Run prints the nodes of the cluster.
func (cmd *nodeListCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		all, err := client.Nodes(c.ctx)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(admin.Nodes{Nodes: all})
		}
		rows := [][]string{{"NODE", "ID", "STATE", "LEADS", "STREAMS", "BEHIND"}}
		for _, n := range all {
			leads := ""
			if n.Leads {
				leads = "yes"
			}
			rows = append(rows, []string{
				cmp.Or(n.Name, "(unknown)"), n.ID, n.State, leads, strconv.Itoa(n.Streams), strconv.Itoa(n.Behind),
			})
		}
		return c.table(rows...)
	})
}
