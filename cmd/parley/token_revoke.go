package main

import (
	"time"

	"parley/admin"
	"parley/internal/fault"
	"parley/tenants"
)

type tokenRevokeCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
	JTI    string `required:"" xor:"which" name:"jti" placeholder:"ID" help:"The one token with this claim jti; token inspect shows it."`
	Agent  string `required:"" xor:"which" help:"All tokens of this agent."`
	User   string `required:"" xor:"which" help:"All tokens of this user."`
	All    bool   `required:"" xor:"which" help:"All tokens of the tenant."`
	Before string `placeholder:"WHEN" help:"Only those that were issued until then: a duration ago such as 2h, or a date such as 2027-01-31 or 2027-01-31T12:00:00Z. Defaults to now."`
}

// Help shows what is typed most.
func (tokenRevokeCmd) Help() string {
	return `Connections that were opened with such a token are closed with 4501, on all nodes. Tokens that are issued later are good.

Examples:
  parley token revoke --tenant acme --agent alice
  parley token revoke --tenant acme --jti 01987c0e-5a3b-7c41-9d3e-0c8e0a8f2b11
  parley token revoke --tenant acme --all --before 2027-01-31T12:00:00Z`
}

// Run revokes tokens; they are good for nothing any more when the command returns.
func (cmd *tokenRevokeCmd) Run(c *console) error {
	spec := admin.NewRevocation{JTI: cmd.JTI, Agent: cmd.Agent, User: cmd.User, All: cmd.All}
	var err error
	if spec.Before, err = parseInstant(cmd.Before, time.Now(), -1); err != nil {
		return err
	}
	return cmd.with(c, func(client *admin.Client) error {
		made, err := client.RevokeTokens(c.ctx, cmd.Tenant, spec)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(made)
		}
		return c.printRevocations([]tenants.Revocation{made})
	})
}

// printRevocations prints revocations as a table.
func (c *console) printRevocations(all []tenants.Revocation) error {
	rows := [][]string{{"REFUSED TOKENS", "ISSUED UNTIL", "REVOKED", "FORGOTTEN"}}
	for _, r := range all {
		what := "all"
		switch {
		case r.JTI != "":
			what = "jti " + r.JTI
		case r.Subject != "":
			what = "of " + string(r.Subject)
		}
		rows = append(rows, []string{what, when(r.Before), when(r.Created), when(r.Until)})
	}
	return c.table(rows...)
}

// parseInstant reads a day, a time, or a duration from now in the direction of sign. "" is the zero time.
func parseInstant(s string, now time.Time, sign time.Duration) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(sign * d).UTC().Truncate(time.Second), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.New(fault.Usage, "%q is neither a duration nor a date.", s).WithFix("Write 720h, 2027-01-31 or 2027-01-31T12:00:00Z.")
}
