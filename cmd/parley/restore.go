package main

import (
	"parley/admin"
)

type restoreCmd struct {
	remote
	asJSON
	File    string `arg:"" help:"The backup; - for stdin."`
	Tenant  string `placeholder:"ID" help:"Only this tenant of those that the backup holds. Defaults to all."`
	As      string `placeholder:"ID" help:"Call it so. Its tokens and API keys name the old id: tokens have to be issued anew, API keys are left out."`
	Replace bool   `help:"Take the place of a tenant that exists. It serves until the restored one is whole; then all it had is erased."`
}

// Help shows how it is used.
func (restoreCmd) Help() string {
	return `The server proves the whole backup before it begins. A tenant is there whole when it is there at all: one that could
not be finished is removed again.

    parley restore all.tar.gz                              every tenant, none of which may exist
    parley restore all.tar.gz --tenant acme --replace      in the place of the one that exists
    parley restore all.tar.gz --tenant acme --as acme-2    beside it`
}

// Run restores what a backup holds, and prints what that was.
func (cmd *restoreCmd) Run(c *console) error {
	in, err := openArchive(c, cmd.File)
	if err != nil {
		return err
	}
	defer in.Close()
	return cmd.with(c, func(client *admin.Client) error {
		done, err := client.Restore(c.ctx, admin.RestoreWish{Tenant: cmd.Tenant, As: cmd.As, Replace: cmd.Replace}, in)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(done)
		}
		if err := c.printTenants(done.Tenants); err != nil {
			return err
		}
		c.hint("NATS credentials (.creds) are of the installation that issued them: issue new ones with parley creds issue.")
		return nil
	})
}
