package main

import (
	"time"

	"parley/admin"
	"parley/internal/fault"
	"parley/tenants"
)

type keyRotateCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
	Old    string `arg:"" optional:"" help:"Id of the key to replace. Defaults to the one that tokens are signed with."`
	Kid    string `help:"Id of the new key. Defaults to a fresh one."`
	Alg    string `help:"Algorithm of the new key. Defaults to that of the old one."`
	keyMaterial
	Overlap time.Duration `default:"24h" help:"How long the old key is still good: at least as long as the tokens that it has signed. 0s revokes it at once. Defaults to 24h."`
}

// Help says how a rotation goes.
func (keyRotateCmd) Help() string {
	return `New tokens are signed with the new key as soon as the command returns; nobody is cut off before the overlap is over. After a leak, use --overlap 0s: what the old key has signed is refused at once, on open connections too.

  parley key rotate --tenant acme
  parley key rotate --tenant acme --overlap 0s
  parley key rotate --tenant acme backend --kid backend-2 --secret-file new.txt --overlap 720h`
}

// Run prints the new key's id.
func (cmd *keyRotateCmd) Run(c *console) error {
	if cmd.Overlap < 0 || cmd.Overlap%time.Second != 0 {
		return fault.New(fault.Usage, "The overlap is a number of seconds, minutes or hours.")
	}
	spec := admin.Rotation{Kid: cmd.Kid, Alg: tenants.Alg(cmd.Alg), OverlapSeconds: int64(cmd.Overlap / time.Second)}
	var err error
	if spec.Secret, spec.PublicKey, err = cmd.read(c); err != nil {
		return err
	}
	return cmd.with(c, func(client *admin.Client) error {
		done, err := client.RotateKey(c.ctx, cmd.Tenant, cmd.Old, spec)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(done)
		}
		if done.Old.Revoked.IsZero() {
			c.hint("The key %s is good until %s.", done.Old.Kid, when(done.Old.NotAfter))
		} else {
			c.hint("The key %s is revoked.", done.Old.Kid)
		}
		return c.printLine(done.New.Kid)
	})
}
