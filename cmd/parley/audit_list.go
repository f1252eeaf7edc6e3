package main

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"parley/admin"
	"parley/tenants"
)

type auditListCmd struct {
	remote
	asJSON
	Since  string `default:"24h" placeholder:"WHEN" help:"How far back: a duration such as 24h, or a date such as 2027-01-31 or 2027-01-31T12:00:00Z. Defaults to 24h."`
	Tenant string `placeholder:"ID" help:"Only what was done to this tenant, which may be deleted by now."`
	Follow bool   `short:"f" help:"Go on with what is done from now on, until interrupted."`
}

// Help says what can be found.
func (auditListCmd) Help() string {
	return `Everything that changes something is in the log, and every look at what a tenant's people have said: who (the admin key, and the name at the terminal, which is not proven), from which address, what, and how it ended. "open" is under way, or its node died over it. No secrets and no contents are in the log.

  parley audit list
  parley audit list --tenant acme --since 720h
  parley audit list --since 2027-01-31 --json
  parley audit list --follow`
}

// auditAgain is how often a follower asks for more.
const auditAgain = time.Second

// Run prints acts, the oldest first.
func (cmd *auditListCmd) Run(c *console) error {
	since, err := parseInstant(cmd.Since, time.Now(), -1)
	if err != nil {
		return err
	}
	return cmd.with(c, func(client *admin.Client) error {
		var found acts
		q := admin.AuditQuery{Since: since, Tenant: tenants.ID(cmd.Tenant)}
		if err := found.read(c, client, &q); err != nil {
			return err
		}
		if !cmd.Follow && cmd.JSON {
			return c.printJSON(map[string]any{"acts": append([]*act{}, found.all...)})
		}
		if !cmd.Follow {
			rows := [][]string{{"TIME", "BY", "FROM", "OUTCOME", "ACT", "ON"}}
			for _, a := range found.all {
				rows = append(rows, a.row())
			}
			return c.table(rows...)
		}
		return cmd.follow(c, client, &found, q)
	})
}

// read takes all that is there behind q, which is moved to the end.
func (a *acts) read(c *console, client *admin.Client, q *admin.AuditQuery) error {
	for more := true; more; {
		page, err := client.Audit(c.ctx, *q)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			a.add(e)
		}
		q.After, more = page.Last, page.More
	}
	return nil
}

// follow prints acts as they end.
func (cmd *auditListCmd) follow(c *console, client *admin.Client, found *acts, q admin.AuditQuery) error {
	tick := time.NewTicker(auditAgain)
	defer tick.Stop()
	for {
		for _, a := range found.takeEnded() {
			line := printable(strings.Join(a.row(), "  "))
			if cmd.JSON {
				b, err := json.Marshal(a)
				if err != nil {
					return err
				}
				line = string(b)
			}
			if err := c.printLine(line); err != nil {
				return err
			}
		}
		select {
		case <-c.ctx.Done():
			return c.ctx.Err()
		case <-tick.C:
		}
		if err := found.read(c, client, &q); err != nil {
			return err
		}
	}
}
