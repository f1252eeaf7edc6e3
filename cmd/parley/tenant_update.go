package main

import (
	"parley/admin"
	"parley/internal/fault"
	"parley/tenants"
)

// limitFlags are how limits are given.
type limitFlags struct {
	Limit []string `placeholder:"NAME=VALUE" help:"Limit of the tenant, such as connections=100, storage_bytes=2GiB or history_age=7d; 0 means none, default the default. May be repeated; tenant show lists all names."`
}

type tenantUpdateCmd struct {
	remote
	asJSON
	ID   string  `arg:"" help:"Id of the tenant."`
	Name *string `help:"Name for people."`
	limitFlags
	Origin    []string `xor:"origins" placeholder:"ORIGIN" help:"Origin whose web pages may use the tenant, such as https://app.example.com; may be repeated, and replaces the list."`
	AnyOrigin bool     `xor:"origins" help:"Let pages of any origin use the tenant, which is the default."`
}

// origins is what the list is to be, nil when it stays.
func (cmd *tenantUpdateCmd) origins() *[]string {
	if !cmd.AnyOrigin && len(cmd.Origin) == 0 {
		return nil
	}
	list := append([]string{}, cmd.Origin...)
	return &list
}

// Run changes what is given and leaves the rest as it is. Limits act on open connections, too.
func (cmd *tenantUpdateCmd) Run(c *console) error {
	limits, err := tenants.ParseLimits(cmd.Limit)
	if err != nil {
		return err
	}
	if cmd.Name == nil && limits == nil && cmd.origins() == nil {
		return fault.New(fault.Usage, "Nothing is to be changed.").WithFix("Give --name, --origin or --limit NAME=VALUE; parley tenant show %s lists the limits.", cmd.ID)
	}
	return cmd.with(c, func(client *admin.Client) error {
		t, err := client.UpdateTenant(c.ctx, cmd.ID, admin.TenantChange{Name: cmd.Name, Limits: limits, Origins: cmd.origins()})
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(t)
		}
		return c.printLine(string(t.ID))
	})
}

// printLimits prints all limits, those that are set and those that are not.
func (c *console) printLimits(set tenants.Limits) error {
	rows := [][]string{{""}, {"LIMIT", "VALUE"}}
	for _, info := range tenants.AllLimits() {
		text := info.Default + " (default)"
		if v, ok := set[info.Limit]; ok {
			text = info.Text(v)
		}
		rows = append(rows, []string{string(info.Limit), text})
	}
	return c.table(rows...)
}
