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
	Role   string        `enum:"service,worker" default:"service" help:"What it may do when --pub and --sub are not given: ${enum}. A service publishes and subscribes on channel.> and agent.>, watches status.> and live.session.>, and takes part in sessions with session.*.do.*. A worker takes requests from a queue and answers them."`
	Queue  string        `placeholder:"NAME" help:"With --role worker: the queue that it takes requests from, which is the bot's name in sessions that name one. Defaults to ai."`
	Pub    []string      `placeholder:"SUBJECT" help:"Subject that it may publish on; may be repeated. With --pub or --sub, it may do only what they say."`
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
