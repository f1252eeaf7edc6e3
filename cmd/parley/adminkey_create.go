package main

import (
	"time"

	"parley/admin"
	"parley/admin/adminkey"
	"parley/tenants"
)

type adminkeyCreateCmd struct {
	remote
	asJSON
	Name    string   `arg:"" help:"Who or what is to hold it: the name stands in the audit log."`
	Role    string   `default:"full" placeholder:"ROLE" help:"What its holder may do: full, or read-only, which shows everything but secrets and changes nothing. Defaults to full."`
	Tenant  []string `placeholder:"ID" help:"Tenant that it is good for, and for nothing else; may be repeated. Defaults to the whole broker."`
	Expires string   `placeholder:"WHEN" help:"When it ends: a duration such as 720h, or a date such as 2027-01-31 or 2027-01-31T12:00:00Z. Defaults to never."`
}

// Help says how the key is used.
func (adminkeyCreateCmd) Help() string {
	return `The key is good on all nodes of the cluster, for all commands, with --admin-key-file FILE or in $PARLEY_ADMIN_KEY. The broker keeps a hash of it only.

  parley adminkey create ann > ann.key
  parley adminkey create dashboard --role read-only > dashboard.key
  parley adminkey create agency --tenant acme --tenant globex --expires 720h > agency.key
  parley tenant list --server http://n2:8081 --admin-key-file ann.key`
}

// Run prints the key and nothing else.
func (cmd *adminkeyCreateCmd) Run(c *console) error {
	role, err := adminkey.ParseRole(cmd.Role)
	if err != nil {
		return err
	}
	spec := admin.NewNamedKey{Role: role}
	for _, t := range cmd.Tenant {
		spec.Tenants = append(spec.Tenants, tenants.ID(t))
	}
	if spec.NotAfter, err = parseInstant(cmd.Expires, time.Now(), 1); err != nil {
		return err
	}
	return cmd.with(c, func(client *admin.Client) error {
		made, err := client.CreateAdminKey(c.ctx, cmd.Name, spec)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(made)
		}
		return c.printLine(made.Text)
	})
}
