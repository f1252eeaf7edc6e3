package main

import (
	"parley/admin"
	"parley/internal/fault"
)

type credsRevokeCmd struct {
	remote
	asJSON
	Tenant  string `required:"" help:"Id of the tenant."`
	Name    string `help:"All credentials of the service of this name."`
	UserKey string `arg:"" optional:"" help:"The credentials with this user key; creds list shows it."`
}

// Help shows what is typed most.
func (credsRevokeCmd) Help() string {
	return `Services that are connected with them are cut off, on all nodes. Credentials that are issued later are good, also under the same name.

Examples:
  parley creds revoke --tenant acme --name backend
  parley creds revoke --tenant acme UAXXFHV2VFE3Y2HVUEQFCJ3JBR2OFNBHXDNMZOSYFMGOMOD3JHNBTZSN`
}

// Run revokes credentials and prints the user keys; nobody is connected with them when the command returns.
func (cmd *credsRevokeCmd) Run(c *console) error {
	if (cmd.Name == "") == (cmd.UserKey == "") {
		return fault.New(fault.Usage, "Say which credentials: --name, or a user key.").WithFix("See: parley creds list --tenant %s", cmd.Tenant)
	}
	return cmd.with(c, func(client *admin.Client) error {
		revoked, err := client.RevokeCreds(c.ctx, cmd.Tenant, admin.RevokeCreds{Name: cmd.Name, UserKey: cmd.UserKey})
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(admin.AllCreds{Creds: revoked})
		}
		for _, one := range revoked {
			if err := c.printLine(one.UserKey); err != nil {
				return err
			}
		}
		return nil
	})
}
