package main

import (
	"strconv"

	"parley/admin"
)

type channelShowCmd struct {
	remote
	asJSON
	Tenant  string `required:"" help:"Id of the tenant."`
	Channel string `arg:"" help:"The channel."`
}

// Run prints one channel.
func (cmd *channelShowCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		ch, err := client.Channel(c.ctx, cmd.Tenant, cmd.Channel)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(ch)
		}
		pattern := ""
		if ch.Policy != nil {
			pattern = ch.Policy.Pattern
		}
		return c.table([]string{"Channel:", string(ch.ID)}, []string{"Messages:", strconv.FormatUint(ch.Messages, 10)},
			[]string{"Policy:", orDash(pattern)}, []string{"Keeps:", keeps(ch.Policy)},
			[]string{"Publishers:", publishers(ch.Policy)}, []string{"Subscribed:", orDash(joined(ch.Agents))})
	})
}
