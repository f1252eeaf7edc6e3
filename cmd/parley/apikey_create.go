package main

import (
	"time"

	"parley/admin"
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
	if spec.NotAfter, err = parseInstant(cmd.Expires, time.Now(), 1); err != nil {
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
