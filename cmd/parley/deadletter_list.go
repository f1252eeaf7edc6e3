package main

import (
	"strconv"

	"parley/admin"
	"parley/channels"
	"parley/internal/fault"
)

type deadletterListCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
	After  uint64 `help:"List what is behind this number."`
	Limit  int    `default:"100" help:"How many to list at most. Defaults to 100."`
}

// Help shows what the command is for.
func (deadletterListCmd) Help() string {
	return `A message that a receiver with ack=explicit has got max_deliveries times without acknowledging it becomes a dead letter.

  parley deadletter list --tenant acme
  parley deadletter list --tenant acme --after 100 --json`
}

// Run prints dead letters, the oldest first, page by page.
func (cmd *deadletterListCmd) Run(c *console) error {
	if cmd.Limit < 1 {
		return fault.New(fault.Usage, "The limit is a number from 1 on.")
	}
	return cmd.with(c, func(client *admin.Client) error {
		all := admin.DeadLetters{DeadLetters: []admin.DeadLetter{}, Last: cmd.After, More: true}
		for all.More && len(all.DeadLetters) < cmd.Limit {
			page, err := client.DeadLetters(c.ctx, cmd.Tenant, all.Last, min(cmd.Limit-len(all.DeadLetters), channels.MaxHistory))
			if err != nil {
				return err
			}
			all.DeadLetters = append(all.DeadLetters, page.DeadLetters...)
			all.Last, all.More = page.Last, page.More
		}
		if cmd.JSON {
			return c.printJSON(all)
		}
		return c.table(deadletterRows(all.DeadLetters)...)
	})
}

func deadletterRows(all []admin.DeadLetter) [][]string {
	rows := [][]string{{"NUMBER", "GIVEN UP", "RECEIVER", "CHANNEL", "SEQ", "DELIVERIES", "CONTENT"}}
	for _, d := range all {
		content := "(no longer stored)"
		if d.Message != nil {
			m, _ := decode(d.Message) // one that is no object has no content
			content = oneLine(contentOf(m.Content))
		}
		rows = append(rows, []string{
			strconv.FormatUint(d.Number, 10), when(d.Time), d.Place, orDash(string(d.Channel)),
			strconv.FormatUint(d.Seq, 10), strconv.Itoa(d.Deliveries), content,
		})
	}
	return rows
}
