package main

import (
	"time"

	"parley/admin"
	"parley/internal/fault"
	"parley/tenants"
)

type apikeyCreateCmd struct {
	remote
	asJSON
	Tenant  string   `required:"" help:"Id of the tenant."`
	Name    string   `help:"What it is for, for people."`
	Scope   []string `placeholder:"SCOPE" help:"What it is good for: chats:read, chats:write; may be repeated. Defaults to both."`
	Expires string   `placeholder:"WHEN" help:"When it ends: a duration such as 720h, or a date such as 2027-01-31 or 2027-01-31T12:00:00Z. Defaults to never."`
}

// Run prints the key and nothing else.
func (cmd *apikeyCreateCmd) Run(c *console) error {
	spec := admin.NewAPIKey{Name: cmd.Name}
	for _, s := range cmd.Scope {
		scope, err := tenants.ParseScope(s)
		if err != nil {
			return err
		}
		spec.Scopes = append(spec.Scopes, scope)
	}
	var err error
	if spec.NotAfter, err = parseExpiry(cmd.Expires, time.Now()); err != nil {
		return err
	}
	return cmd.with(c, func(client *admin.Client) error {
		made, err := client.CreateAPIKey(c.ctx, cmd.Tenant, spec)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(made)
		}
		return c.printLine(made.Key)
	})
}

// parseExpiry reads an instant that is given as a duration from now, as a day or as a time. "" is never.
func parseExpiry(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(d).UTC().Truncate(time.Second), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.New(fault.Usage, "%q is neither a duration nor a date.", s).WithFix("Write 720h, 2027-01-31 or 2027-01-31T12:00:00Z.")
}
