package main

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"

	"parley/admin"
	"parley/internal/fault"
)

type applyCmd struct {
	remote
	asJSON
	File         string `short:"f" required:"" placeholder:"FILE" help:"YAML file with the tenants; - for stdin."`
	DryRun       bool   `help:"Only show what would be done."`
	Prune        bool   `help:"Take from the tenants in the file what it does not list: their other keys and API keys are revoked, their other limits set back, their other channel policies removed."`
	PruneTenants bool   `help:"Delete the tenants that are not in the file, with all their data."`
	Yes          bool   `help:"Do not ask before tenants are deleted."`
}

// Help shows a file.
func (applyCmd) Help() string {
	return `Makes the tenants what a file says. What is as it should be is left alone, so that a file can be applied any number of times. What the file does not mention is left alone, too, but for --prune. Secrets are named by the file or the variable that holds them; file names are relative to the YAML file.

    tenants:
      - id: acme
        name: Acme Inc.
        state: active                # or suspended
        limits: {connections: 100, storage_bytes: 2GiB}
        origins: [https://app.acme.example]
        channels:
          - {pattern: live.>, ephemeral: true}
          - {pattern: logs.*, max_age: 1h, max_messages: 1000, max_bytes: 10MiB}
          - {pattern: news, publishers: [editor]}
        keys:
          - {kid: backend, alg: HS256, secret: {file: acme.secret}}
          - {kid: idp, alg: RS256, jwks_url: https://idp.example/keys, audience: acme}
          - {kid: own, alg: ES256}   # the broker makes it
        api_keys:
          - {name: shop, scopes: [chats:read], save_to: acme-shop.key}

  parley apply -f tenants.yaml --dry-run
  parley apply -f tenants.yaml`
}

// Run prints what it does, step by step.
func (cmd *applyCmd) Run(c *console) error {
	file, err := c.readTenants(cmd.File)
	if err != nil {
		return err
	}
	return cmd.with(c, func(client *admin.Client) error {
		have, err := client.Tenants(c.ctx)
		if err != nil {
			return err
		}
		p := plan{file: file, prune: cmd.Prune, pruneTenants: cmd.PruneTenants}
		if err := p.make(have); err != nil {
			return err
		}
		if cmd.DryRun {
			return cmd.show(c, p)
		}
		if err := cmd.ask(c, p); err != nil {
			return err
		}
		for _, s := range p.steps {
			if err := s.do(c.ctx, client); err != nil {
				return fault.Wrap(fault.CodeOf(err), err, "%s: %s: %s", s.Tenant, s.What, fault.Message(err)).
					WithFix("%sWhat was done until then is done; apply the file again to go on.", withBreak(fault.Fix(err)))
			}
			if !cmd.JSON {
				if err := c.printStep(s); err != nil {
					return err
				}
			}
		}
		return cmd.finish(c, p)
	})
}

func withBreak(s string) string {
	if s == "" {
		return ""
	}
	return s + "\n"
}

// printStep prints what is done, or would be.
func (c *console) printStep(s step) error {
	if s.Mark == checking {
		return nil
	}
	return c.printLine(printable(s.Mark + " " + s.Tenant + ": " + s.What))
}

// show prints the plan and does nothing.
func (cmd *applyCmd) show(c *console, p plan) error {
	if !cmd.JSON {
		for _, s := range p.steps {
			if err := c.printStep(s); err != nil {
				return err
			}
		}
	}
	return cmd.finish(c, p)
}

// finish says how much there was to do.
func (cmd *applyCmd) finish(c *console, p plan) error {
	changes := p.changes()
	if cmd.JSON {
		return c.printJSON(struct {
			Tenants int    `json:"tenants"` // in the file
			Applied bool   `json:"applied"`
			Steps   []step `json:"steps"`
		}{len(p.file.Tenants), !cmd.DryRun, changes})
	}
	switch {
	case len(changes) == 0:
		c.hint("All %d tenants are as they should be.", len(p.file.Tenants))
	case cmd.DryRun:
		c.hint("Nothing was done. There are %d steps to do: apply without --dry-run.", len(changes))
	default:
		c.hint("Done, in %d steps.", len(changes))
	}
	return nil
}

// ask has the user type how many tenants are to be deleted, if any.
func (cmd *applyCmd) ask(c *console, p plan) error {
	if len(p.deleted) == 0 || cmd.Yes {
		return nil
	}
	c.tell("This deletes %d tenants with all their messages for good: %s.\nType how many they are to go on: ", len(p.deleted), strings.Join(p.deleted, ", "))
	line, _ := bufio.NewReader(c.stdin).ReadString('\n')
	if strings.TrimSpace(line) != strconv.Itoa(len(p.deleted)) {
		return fault.New(fault.Usage, "Nothing was done.").WithFix("Type the number, or give --yes.")
	}
	return nil
}

// change describes a difference.
func change(what, from, to string) string {
	return fmt.Sprintf("%s: %s -> %s", what, orDash(from), orDash(to))
}
