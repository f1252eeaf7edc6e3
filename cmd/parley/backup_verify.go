package main

import "parley/backup"

type backupVerifyCmd struct {
	asJSON
	File string `arg:"" help:"The backup; - for stdin."`
}

// Run prints what a backup holds when it is whole: no server is needed.
func (cmd *backupVerifyCmd) Run(c *console) error {
	in, err := openArchive(c, cmd.File)
	if err != nil {
		return err
	}
	defer in.Close()
	found, err := backup.Verify(in)
	if err != nil {
		return err
	}
	if cmd.JSON {
		return c.printJSON(found)
	}
	if err := c.printTenants(found.Tenants); err != nil {
		return err
	}
	c.hint("Whole: %s, of %s.", inAll(found), when(found.Header.Created))
	return nil
}
