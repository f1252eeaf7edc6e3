package main

import (
	"bufio"
	"strings"

	"parley/admin"
	"parley/internal/fault"
)

type tenantDeleteCmd struct {
	remote
	ID  string `arg:"" help:"Id of the tenant."`
	Yes bool   `help:"Do not ask."`
}

// Run removes a tenant with all its data; nothing of it is left when the command returns.
func (cmd *tenantDeleteCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		if _, err := client.Tenant(c.ctx, cmd.ID); err != nil {
			return err
		}
		if !cmd.Yes {
			if err := cmd.ask(c); err != nil {
				return err
			}
		}
		if err := client.DeleteTenant(c.ctx, cmd.ID); err != nil {
			return err
		}
		return c.printLine(cmd.ID)
	})
}

// ask has the user type the tenant's id.
func (cmd *tenantDeleteCmd) ask(c *console) error {
	c.tell("This removes the tenant %s and all its messages for good. Type its id to go on: ", cmd.ID)
	line, _ := bufio.NewReader(c.stdin).ReadString('\n')
	if strings.TrimSpace(line) != cmd.ID {
		return fault.New(fault.Usage, "Nothing was deleted.").WithFix("Type the id, or give --yes.")
	}
	return nil
}
