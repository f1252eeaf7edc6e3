package main

import (
	"io"
	"time"

	"parley/admin"
)

type credsIssueCmd struct {
	remote
	Tenant string        `required:"" help:"Id of the tenant."`
	Name   string        `required:"" help:"What the service is called."`
	Role   string        `enum:"service,worker" default:"service" help:"${enum}. A service publishes and subscribes on channel.> and agent.>, and watches status.> and live.session.>, and takes part in sessions with session.*.do.*, and in meet rooms with meet.*.event and meet.*.do.*, unless --pub and --sub say otherwise. A worker takes the requests of a queue and answers them."`
	Queue  string        `placeholder:"NAME" help:"Whose requests a worker takes: those of the sessions with that bot. Defaults to ai, which is for sessions without one."`
	Pub    []string      `placeholder:"SUBJECT" help:"Subject that it may publish on; may be repeated. A service may then do only what --pub and --sub say; a worker that in addition, such as tool.> for the tools it uses."`
	Sub    []string      `placeholder:"SUBJECT" help:"Subject that it may subscribe to; may be repeated. Requests need _INBOX.> for their answers."`
	TTL    time.Duration `name:"ttl" help:"How long the credentials are good for. Defaults to for ever."`
}

// Run prints the credentials and nothing else. They can't be had a second time.
func (cmd *credsIssueCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		creds, err := client.IssueCreds(c.ctx, cmd.Tenant, admin.NewCreds{
			Name: cmd.Name, Role: admin.Role(cmd.Role), Queue: cmd.Queue, Publish: cmd.Pub, Subscribe: cmd.Sub, TTLSeconds: int64(cmd.TTL / time.Second),
		})
		if err != nil {
			return err
		}
		_, err = io.WriteString(c.stdout, creds.Creds)
		return err
	})
}
