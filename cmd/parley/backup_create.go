package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"parley/admin"
	"parley/backup"
	"parley/internal/fault"
)

type backupCreateCmd struct {
	remote
	asJSON
	Tenant         string `placeholder:"ID" help:"The tenant. Defaults to all."`
	Out            string `placeholder:"FILE" help:"Where to; - for stdout. A name that ends with .gz or .tgz is compressed. Defaults to parley-backup-TIME.tar.gz in this directory."`
	WithoutSecrets bool   `help:"Leave out what tokens are signed with, and the API keys. A tenant that is restored from it has a new key."`
}

// Run prints the name of the file once it is whole, checked and on disk.
func (cmd *backupCreateCmd) Run(c *console) error {
	if cmd.Out == "" {
		cmd.Out = "parley-backup-" + time.Now().UTC().Format("20060102T150405Z") + ".tar.gz"
	}
	if cmd.Out == "-" && cmd.JSON {
		return fault.New(fault.Usage, "Both the backup and JSON can't go to stdout.").WithFix("Give --out FILE.")
	}
	if _, err := os.Lstat(cmd.Out); err == nil {
		return fault.New(fault.AlreadyExists, "The file %s exists.", cmd.Out).WithFix("Choose another name with --out.")
	}
	return cmd.with(c, func(client *admin.Client) error {
		from, err := client.Backup(c.ctx, cmd.Tenant, !cmd.WithoutSecrets)
		if err != nil {
			return err
		}
		defer from.Close()
		if cmd.Out == "-" {
			found, err := backup.Verify(io.TeeReader(from, c.stdout))
			if err == nil {
				c.hint("%s.", inAll(found))
			}
			return unfinished(err)
		}
		found, err := saveBackup(from, cmd.Out)
		if err != nil {
			return unfinished(err)
		}
		if cmd.JSON {
			return c.printJSON(found)
		}
		if err := c.printLine(cmd.Out); err != nil {
			return err
		}
		c.hint("%s.", inAll(found))
		if found.Header.Secrets {
			c.hint("The file holds the tenants' secrets: whoever can read it can sign their tokens. Keep it as safe as the server.")
		}
		return nil
	})
}

// unfinished is an error of a transfer as a person should read it.
func unfinished(err error) error {
	if err == nil || fault.CodeOf(err) != fault.Internal {
		return err
	}
	return fault.Wrap(fault.Unavailable, err, "The backup was not finished: %s.", err)
}

// saveBackup writes an archive to a file that only its owner can read, checking it on the way. The file has its name once
// it is whole and on disk.
func saveBackup(from io.Reader, name string) (found backup.Contents, err error) {
	partial := name + ".partial"
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return found, fault.Wrap(fault.Usage, err, "The backup can't be written: %s.", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close(), os.Remove(partial))
		}
	}()
	if err = file.Chmod(0o600); err != nil { // one that a run before has left
		return found, err
	}
	var to io.Writer = file
	compressed := gzip.NewWriter(file)
	if strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".tgz") {
		to = compressed
	}
	if found, err = backup.Verify(io.TeeReader(from, to)); err != nil {
		return found, err
	}
	if to == compressed {
		if err = compressed.Close(); err != nil {
			return found, err
		}
	}
	if err = file.Sync(); err != nil {
		return found, fmt.Errorf("write the backup: %w", err)
	}
	if err = file.Close(); err != nil {
		return found, fmt.Errorf("write the backup: %w", err)
	}
	return found, os.Rename(partial, name)
}
