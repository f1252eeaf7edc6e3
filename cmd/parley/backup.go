package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strconv"

	"parley/backup"
	"parley/internal/fault"
)

type backupCmd struct {
	Create backupCreateCmd `cmd:"" default:"withargs" help:"Copy one tenant, or all, into a file. It is what backup does when nothing else is said."`
	Verify backupVerifyCmd `cmd:"" help:"Check a backup without a server, and say what it holds."`
}

// Help shows how it is used.
func (backupCmd) Help() string {
	return `Examples:

    parley backup                              all tenants, into parley-backup-TIME.tar.gz here
    parley backup --tenant acme --out acme.tar.gz
    parley backup --out - | age -r age1… > all.tar.age
    parley backup verify acme.tar.gz
    parley restore acme.tar.gz --tenant acme --as acme-copy`
}

// openArchive opens a backup for reading, compressed or not; "-" is what comes in on stdin. The caller closes it.
func openArchive(c *console, name string) (io.ReadCloser, error) {
	in := io.NopCloser(c.stdin)
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fault.Wrap(fault.Usage, err, "The backup can't be read: %s.", err)
		}
		in = file
	}
	buffered := bufio.NewReaderSize(in, 64<<10)
	if magic, _ := buffered.Peek(2); string(magic) != "\x1f\x8b" {
		return archiveFile{buffered, in}, nil
	}
	plain, err := gzip.NewReader(buffered)
	if err != nil {
		in.Close()
		return nil, fault.Wrap(fault.InvalidFormat, err, "The backup %s can't be decompressed: %s.", name, err)
	}
	return archiveFile{gunzip{plain}, in}, nil
}

// archiveFile reads from one thing and closes another one.
type archiveFile struct {
	io.Reader
	io.Closer
}

// gunzip says in its errors what is wrong.
type gunzip struct{ plain *gzip.Reader }

// Read implements io.Reader.
func (g gunzip) Read(p []byte) (int, error) {
	n, err := g.plain.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // the Reader contract is about io.EOF itself
		err = fault.Wrap(fault.InvalidFormat, err, "The backup can't be decompressed: %s.", err)
	}
	return n, err
}

// printTenants lists what a backup holds, or what was restored of it.
func (c *console) printTenants(all []backup.TenantSummary) error {
	rows := [][]string{{"TENANT", "STREAMS", "MESSAGES", "BYTES", "CONSUMERS", "KEYS", "API KEYS"}}
	for _, t := range all {
		rows = append(rows, []string{
			string(t.Tenant), strconv.Itoa(t.Streams), strconv.FormatUint(t.Messages, 10), strconv.FormatUint(t.Bytes, 10),
			strconv.Itoa(t.Places), strconv.Itoa(t.Keys), strconv.Itoa(t.APIKeys),
		})
	}
	return c.table(rows...)
}

// inAll says how much a backup holds.
func inAll(found backup.Contents) string {
	var messages uint64
	for _, t := range found.Tenants {
		messages += t.Messages
	}
	return fmt.Sprintf("%d tenants, %d messages", len(found.Tenants), messages)
}
