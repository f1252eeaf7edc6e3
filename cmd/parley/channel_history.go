package main

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"parley/admin"
	"parley/channels"
	"parley/internal/fault"
)

type channelHistoryCmd struct {
	remote
	asJSON
	Tenant  string `required:"" help:"Id of the tenant."`
	Channel string `arg:"" help:"The channel."`
	Since   string `help:"Print what is behind this sequence number, or not older than this RFC 3339 time. Defaults to the newest messages."`
	Limit   int    `default:"100" help:"How many messages to print at most. Defaults to 100."`
}

// Run prints messages, the oldest first, page by page.
func (cmd *channelHistoryCmd) Run(c *console) error {
	if cmd.Limit < 1 {
		return fault.New(fault.Usage, "The limit is a number from 1 on.")
	}
	if cmd.Since == "" && cmd.Limit > channels.MaxHistory {
		return fault.New(fault.Usage, "Without --since, at most the newest %d messages can be read.", channels.MaxHistory).
			WithFix("Read all of them with: --since 0 --limit %d", cmd.Limit)
	}
	return cmd.with(c, func(client *admin.Client) error {
		all := admin.Page{Messages: []jsontext.Value{}}
		for since, more := cmd.Since, true; more && len(all.Messages) < cmd.Limit; since = strconv.FormatUint(all.Last, 10) {
			page, err := client.History(c.ctx, cmd.Tenant, cmd.Channel, since, min(cmd.Limit-len(all.Messages), channels.MaxHistory))
			if err != nil {
				return err
			}
			all.Messages = append(all.Messages, page.Messages...)
			all.Last, all.More = page.Last, page.More
			more = page.More
		}
		if cmd.JSON {
			return c.printJSON(all)
		}
		for _, m := range all.Messages {
			if err := c.printMessage(m, false); err != nil {
				return err
			}
		}
		return nil
	})
}
