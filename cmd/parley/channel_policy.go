package main

import (
	"strconv"
	"strings"
	"time"

	"parley/admin"
	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

type channelPolicyCmd struct {
	Set    channelPolicySetCmd    `cmd:"" help:"Set the policy of a pattern."`
	List   channelPolicyListCmd   `cmd:"" help:"List a tenant's policies, the more particular ones first."`
	Remove channelPolicyRemoveCmd `cmd:"" help:"Remove the policy of a pattern."`
}

type channelPolicySetCmd struct {
	remote
	asJSON
	Tenant      string        `required:"" help:"Id of the tenant."`
	Pattern     string        `arg:"" help:"A channel, or a pattern such as team.* or logs.>."`
	Ephemeral   bool          `help:"Deliver messages to who is there, and store none."`
	MaxAge      time.Duration `help:"How long messages are kept, such as 1h. Defaults to the tenant's."`
	MaxMessages int64         `help:"How many messages of a channel are kept, the newest. Defaults to all."`
	MaxBytes    string        `placeholder:"SIZE" help:"About how many bytes of a channel are kept, the newest, such as 10MiB. Defaults to all."`
	Publisher   []string      `placeholder:"AGENT" help:"Agent that may publish, as far as its token allows it; may be repeated. Defaults to all agents."`
	Closed      bool          `help:"No agent may publish, only services and admins."`
}

// Help says how policies are found.
func (channelPolicySetCmd) Help() string {
	return `The policy that is set replaces the one that the pattern had. Of several patterns that fit a channel the most particular one counts, and only that one. A policy holds at once, on open connections too; what it does not keep is removed within a minute. Services that publish with NATS are not bound by --publisher, but by their credentials.

  parley channel policy set --tenant acme 'live.>' --ephemeral
  parley channel policy set --tenant acme 'logs.*' --max-age 1h --max-messages 1000 --max-bytes 10MiB
  parley channel policy set --tenant acme news --publisher editor`
}

// Run prints the pattern.
func (cmd *channelPolicySetCmd) Run(c *console) (err error) {
	if cmd.MaxAge < 0 || cmd.MaxAge%time.Second != 0 {
		return fault.New(fault.Usage, "The age is a number of seconds, minutes or hours.")
	}
	p := tenants.Policy{
		Pattern: cmd.Pattern, Ephemeral: cmd.Ephemeral, MaxAge: int64(cmd.MaxAge / time.Second), Messages: cmd.MaxMessages, Closed: cmd.Closed,
	}
	if p.Bytes, err = tenants.ParseBytes(cmd.MaxBytes); err != nil {
		return err
	}
	for _, agent := range cmd.Publisher {
		p.Publishers = append(p.Publishers, broker.Token(agent))
	}
	return cmd.with(c, func(client *admin.Client) error {
		p, err := client.SetPolicy(c.ctx, cmd.Tenant, p)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(p)
		}
		return c.printLine(p.Pattern)
	})
}

type channelPolicyListCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
}

// Run prints a tenant's policies.
func (cmd *channelPolicyListCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		all, err := client.Policies(c.ctx, cmd.Tenant)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(admin.Policies{Policies: all})
		}
		rows := [][]string{{"PATTERN", "KEEPS", "PUBLISHERS"}}
		for i := range all {
			rows = append(rows, []string{all[i].Pattern, keeps(&all[i]), publishers(&all[i])})
		}
		return c.table(rows...)
	})
}

// keeps says what a channel with the policy holds.
func keeps(p *tenants.Policy) string {
	switch {
	case p == nil:
		return "all"
	case p.Ephemeral:
		return "nothing"
	}
	var parts []string
	if p.Messages > 0 {
		parts = append(parts, strconv.FormatInt(p.Messages, 10)+" messages")
	}
	if p.Bytes > 0 {
		parts = append(parts, tenants.FormatBytes(p.Bytes))
	}
	if p.MaxAge > 0 {
		parts = append(parts, short(time.Duration(p.MaxAge)*time.Second))
	}
	if len(parts) == 0 {
		return "all"
	}
	return strings.Join(parts, ", ")
}

// publishers says who may publish.
func publishers(p *tenants.Policy) string {
	switch {
	case p == nil || !p.Closed && len(p.Publishers) == 0:
		return "all"
	case p.Closed:
		return "services"
	}
	return "services, " + joined(p.Publishers)
}

func joined(agents []broker.Token) string {
	names := make([]string, len(agents))
	for i, a := range agents {
		names[i] = string(a)
	}
	return strings.Join(names, ", ")
}

type channelPolicyRemoveCmd struct {
	remote
	Tenant  string `required:"" help:"Id of the tenant."`
	Pattern string `arg:"" help:"Pattern of the policy."`
}

// Run prints the pattern.
func (cmd *channelPolicyRemoveCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		if err := client.RemovePolicy(c.ctx, cmd.Tenant, cmd.Pattern); err != nil {
			return err
		}
		return c.printLine(cmd.Pattern)
	})
}
