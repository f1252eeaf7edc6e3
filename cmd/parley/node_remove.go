package main

import (
	"cmp"

	"parley/admin"
)

type nodeRemoveCmd struct {
	remote
	Node string `arg:"" help:"Name or id of the node."`
}

// Run removes a node from the cluster and prints its name.
func (cmd *nodeRemoveCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		n, err := client.RemoveNode(c.ctx, cmd.Node)
		if err != nil {
			return err
		}
		c.hint("Its data directory is of no use any more: a new node begins with an empty one, under another name.")
		return c.printLine(cmp.Or(n.Name, n.ID))
	})
}
