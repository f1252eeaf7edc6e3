package main

import (
	"os"
	"os/user"

	"parley/admin"
	"parley/internal/fault"
)

// defaultData is the data directory of who names none.
const defaultData = "./parley-data"

// remote is how every command but serve finds the server that it talks to.
type remote struct {
	Server       string `setting:"" placeholder:"URL" help:"Admin URL of the server. Defaults to the one that runs on the data directory."`
	AdminKeyFile string `placeholder:"FILE" help:"File with an admin key; the key itself may stand in $PARLEY_ADMIN_KEY. Defaults to the server's own, in the data directory."`
	Data         string `setting:"" default:"./parley-data" placeholder:"DIR" help:"Data directory of a server on this machine. Defaults to ./parley-data."`
}

// client connects to the server. The caller closes it.
func (r remote) client(c *console) (*admin.Client, error) {
	url, key := r.Server, c.getenv("PARLEY_ADMIN_KEY")
	if r.AdminKeyFile != "" {
		var err error
		if key, err = admin.ReadKey(r.AdminKeyFile); err != nil {
			return nil, err
		}
	}
	if url == "" || key == "" {
		localURL, localKey, err := admin.Find(r.Data)
		if err != nil && url != "" {
			return nil, fault.Wrap(fault.Usage, err, "The admin key of %s is missing.", url).
				WithFix("Give it with --admin-key-file FILE or in $PARLEY_ADMIN_KEY. One is in the file admin.key of the server's data directory; parley adminkey create makes others.")
		}
		if err != nil {
			return nil, err
		}
		if url == "" {
			url = localURL
		}
		if key == "" {
			key = localKey
		}
	}
	client, err := admin.NewClient(url, key)
	if err == nil {
		client.As(person())
	}
	return client, err
}

// person is who sits at this terminal, for the audit log.
func person() string {
	name := "unknown"
	if me, err := user.Current(); err == nil {
		name = me.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// again is what the user has to repeat on further command lines so that they find the same server.
func (r remote) again() string {
	flags := ""
	if r.Server != "" {
		flags += " --server " + r.Server
	}
	if r.AdminKeyFile != "" {
		flags += " --admin-key-file " + r.AdminKeyFile
	}
	if r.Data != defaultData {
		flags += " --data " + r.Data
	}
	return flags
}

// with calls f with a connection to the server.
func (r remote) with(c *console, f func(*admin.Client) error) error {
	client, err := r.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	return f(client)
}

// asJSON is the flag of commands that print something.
type asJSON struct {
	JSON bool `name:"json" help:"Print JSON for programs."`
}
