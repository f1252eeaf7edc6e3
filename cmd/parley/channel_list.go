package main

import (
	"strconv"

	"parley/admin"
)

type channelListCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
}

// Run prints a tenant's channels.
func (cmd *channelListCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		all, err := client.Channels(c.ctx, cmd.Tenant)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(admin.Channels{Channels: all})
		}
		rows := [][]string{{"CHANNEL", "MESSAGES"}}
		for _, ch := range all {
			rows = append(rows, []string{string(ch.ID), strconv.FormatUint(ch.Messages, 10)})
		}
		return c.table(rows...)
	})
}
