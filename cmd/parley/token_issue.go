package main

import (
	"time"

	"parley/admin"
	"parley/internal/fault"
	"parley/tenants"
)

type tokenIssueCmd struct {
	remote
	Tenant   string        `required:"" help:"Id of the tenant."`
	Agent    string        `required:"" xor:"who" help:"Id of the agent that the token is for."`
	User     string        `required:"" xor:"who" help:"Id of the user that the token is for."`
	Channels []string      `placeholder:"PATTERN" help:"Channels that the token may use: names, or patterns such as team.* or logs.>. Defaults to all."`
	Rooms    []string      `placeholder:"ROOM" help:"Meet rooms that the token may join. Defaults to all."`
	AllowPub []string      `placeholder:"SUBJECT" help:"Subjects that it may publish on, such as channel.news or agent.*. Defaults to all."`
	DenyPub  []string      `placeholder:"SUBJECT" help:"Subjects that it may not publish on."`
	AllowSub []string      `placeholder:"SUBJECT" help:"Subjects that it may receive. Defaults to all channels and its own inbox."`
	DenySub  []string      `placeholder:"SUBJECT" help:"Subjects that it may not receive."`
	Login    bool          `help:"A login token: to be exchanged for others, not to connect with."`
	TTL      time.Duration `name:"ttl" default:"1h" help:"How long it is good for. Defaults to 1h."`
	Kid      string        `help:"Id of the key to sign with. Defaults to the newest."`
}

// Run prints the token and nothing else.
func (cmd *tokenIssueCmd) Run(c *console) error {
	if cmd.TTL < time.Second {
		return fault.New(fault.Usage, "A token lives a second at least.")
	}
	spec := admin.NewToken{
		Agent: cmd.Agent, User: cmd.User, Channels: cmd.Channels, Rooms: cmd.Rooms, Login: cmd.Login,
		TTLSeconds: int64(cmd.TTL / time.Second), Kid: cmd.Kid,
	}
	p := tenants.Permissions{
		Publish:   tenants.Rule{Allow: cmd.AllowPub, Deny: cmd.DenyPub},
		Subscribe: tenants.Rule{Allow: cmd.AllowSub, Deny: cmd.DenySub},
	}
	if len(cmd.AllowPub)+len(cmd.DenyPub)+len(cmd.AllowSub)+len(cmd.DenySub) > 0 {
		spec.Permissions = &p
	}
	return cmd.with(c, func(client *admin.Client) error {
		token, err := client.IssueToken(c.ctx, cmd.Tenant, spec)
		if err != nil {
			return err
		}
		return c.printLine(token)
	})
}
