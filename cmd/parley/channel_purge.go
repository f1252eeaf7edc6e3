package main

import (
	"bufio"
	"strings"

	"parley/admin"
	"parley/internal/fault"
)

type channelPurgeCmd struct {
	remote
	asJSON
	Tenant  string `required:"" help:"Id of the tenant."`
	Channel string `arg:"" help:"The channel."`
	Yes     bool   `help:"Do not ask."`
}

// Run removes what a channel holds; nobody can read it any more when the command returns.
func (cmd *channelPurgeCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		if !cmd.Yes {
			c.tell("This removes all messages of the channel %s for good. Type its name to go on: ", cmd.Channel)
			line, _ := bufio.NewReader(c.stdin).ReadString('\n')
			if strings.TrimSpace(line) != cmd.Channel {
				return fault.New(fault.Usage, "Nothing was removed.").WithFix("Type the name, or give --yes.")
			}
		}
		purged, err := client.PurgeChannel(c.ctx, cmd.Tenant, cmd.Channel)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(purged)
		}
		c.hint("%d messages were removed.", purged.Messages)
		return c.printLine(cmd.Channel)
	})
}
