package main

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"parley/admin"
	"parley/internal/fault"
)

type channelTailCmd struct {
	remote
	Tenant  string `required:"" help:"Id of the tenant."`
	Channel string `arg:"" help:"The channel."`
	Since   string `help:"Begin behind this sequence number, or with this RFC 3339 time. Defaults to now."`
	JSON    bool   `name:"json" help:"Print each message as JSON, on a line of its own."`
}

// tailAgain is how long a tail waits before it looks for a server that went away.
const tailAgain = time.Second

// Run follows a channel until it is interrupted. When the server goes away it waits for it to come back, and goes on
// where it was.
func (cmd *channelTailCmd) Run(c *console) error {
	reached := false // the server was, once: what is wrong from the start is an error
	for {
		err := cmd.with(c, func(client *admin.Client) error {
			if _, err := client.Tenant(c.ctx, cmd.Tenant); err != nil {
				return err
			}
			if cmd.Since == "" {
				if err := cmd.begin(c, client); err != nil {
					return err
				}
			}
			reached = true
			return client.Tail(c.ctx, cmd.Tenant, cmd.Channel, cmd.Since, func(m jsontext.Value) error { return cmd.each(c, m) })
		})
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if code := fault.CodeOf(err); err != nil && (!reached || code != fault.Unavailable && code != fault.Draining) {
			return err
		}
		c.hint("-- the server ended the connection; trying again --")
		select {
		case <-time.After(tailAgain):
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

// begin notes where the channel ends now, so that nothing is missed when the server goes away. An empty channel has no
// such place.
func (cmd *channelTailCmd) begin(c *console, client *admin.Client) error {
	page, err := client.History(c.ctx, cmd.Tenant, cmd.Channel, "", 1)
	if page.Last > 0 {
		cmd.Since = strconv.FormatUint(page.Last, 10)
	}
	return err
}

func (cmd *channelTailCmd) each(c *console, b jsontext.Value) error {
	if m, err := decode(b); err == nil && m.Seq > 0 {
		cmd.Since = strconv.FormatUint(m.Seq, 10)
	}
	return c.printMessage(b, cmd.JSON)
}
