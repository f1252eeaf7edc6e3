package main

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/admin"
	"parley/broker"
	"parley/internal/fault"
)

type channelPublishCmd struct {
	remote
	Tenant     string `required:"" help:"Id of the tenant."`
	Channel    string `arg:"" help:"The channel."`
	Content    string `arg:"" help:"What to say; - reads it from stdin."`
	RawContent bool   `name:"raw" help:"The content is JSON, not text."`
	Agent      string `help:"Agent in whose name to publish. Defaults to none, as services do."`
	ID         string `name:"id" help:"Id of the message: a repetition with the same one is stored once. Defaults to a fresh one."`
	JSON       bool   `name:"json" help:"Print JSON for programs."`
}

// Run prints the message's id.
func (cmd *channelPublishCmd) Run(c *console) error {
	if cmd.Content == "-" {
		b, err := c.readFile("-")
		if err != nil {
			return err
		}
		cmd.Content = strings.TrimSuffix(string(b), "\n")
	}
	content, err := cmd.content()
	if err != nil {
		return err
	}
	return cmd.with(c, func(client *admin.Client) error {
		receipt, err := client.Publish(c.ctx, cmd.Tenant, cmd.Channel, admin.NewMessage{
			Agent: broker.Token(cmd.Agent), ID: cmd.ID, Content: content,
		})
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(receipt)
		}
		if receipt.Duplicate {
			c.hint("A message with this id was there already.")
		}
		return c.printLine(receipt.ID)
	})
}

func (cmd *channelPublishCmd) content() (jsontext.Value, error) {
	if !cmd.RawContent {
		b, err := json.Marshal(cmd.Content)
		if err != nil {
			return nil, fault.Wrap(fault.InvalidFormat, err, "The content is not UTF-8 text.")
		}
		return b, nil
	}
	v := jsontext.Value(cmd.Content)
	if !v.IsValid() {
		return nil, fault.New(fault.InvalidFormat, "The content is not JSON.").WithFix("Leave --raw away to send it as text.")
	}
	return v, nil
}
