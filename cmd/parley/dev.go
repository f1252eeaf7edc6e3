package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"parley/admin"
	"parley/broker"
	"parley/sessions/worker"
	"parley/sessions/worker/echo"
	"parley/tenants"
)

// What `serve --dev` makes.
const (
	demoTenant = "demo"
	demoCreds  = "demo.creds" // in the data directory
	demoQueue  = "ai"
	demoTTL    = 24 * time.Hour
)

// demo makes a tenant to play with, and prints what to try with it.
func (cmd *serveCmd) demo(ctx context.Context, c *console, n *node) error {
	tenant, _, err := n.registry.Create(ctx, tenants.Spec{ID: demoTenant})
	if err != nil {
		return err
	}
	token := func(agent broker.Token) (string, error) {
		return n.registry.IssueToken(ctx, tenants.TokenSpec{Tenant: demoTenant, Agent: agent, TTL: demoTTL})
	}
	alice, err := token("alice")
	if err != nil {
		return err
	}
	bob, err := token("bob")
	if err != nil {
		return err
	}
	ann, err := n.registry.IssueToken(ctx, tenants.TokenSpec{Tenant: demoTenant, User: "ann", TTL: demoTTL})
	if err != nil {
		return err
	}
	creds, err := demoService(ctx, n, tenant)
	if err != nil {
		return err
	}
	if err := demoWorker(ctx, n, tenant); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.stdout, demoText, host(n.info.Listen[0]), alice, bob, n.info.NATS, creds, c.self, remote{Data: cmd.Data}.again(), ann)
	return err
}

// demoService writes credentials for a back end into the data directory and returns the file's name.
func demoService(ctx context.Context, n *node, tenant tenants.Tenant) (string, error) {
	space, err := n.hub.Open(ctx, tenant.ID, tenant.Account) // makes its streams
	if err != nil {
		return "", err
	}
	defer space.Release()
	path, err := filepath.Abs(filepath.Join(n.cfg.Broker.DataDir, demoCreds))
	if err != nil || stillGood(path, tenant) {
		return path, err
	}
	allow, err := admin.NewCreds{Name: "demo"}.Allow()
	if err != nil {
		return "", err
	}
	_, creds, err := n.registry.IssueCreds(ctx, tenant.ID, string(admin.RoleService), allow)
	if err != nil {
		return "", err
	}
	return path, os.WriteFile(path, creds, 0o600)
}

// stillGood reports whether a file has credentials that the tenant knows and that nobody has revoked: those of an earlier
// start. A tenant does not get more of them with every start.
func stillGood(path string, tenant tenants.Tenant) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	user, err := nkeys.ParseDecoratedUserNKey(text)
	if err != nil {
		return false
	}
	key, err := user.PublicKey()
	return err == nil && slices.ContainsFunc(tenant.Creds, func(c tenants.Creds) bool { return c.UserKey == key && c.Live(time.Now()) })
}

// demoWorker answers the tenant's sessions inside this process, so that a chat needs nothing else.
func demoWorker(ctx context.Context, n *node, tenant tenants.Tenant) error {
	if err := n.talks.Ready(ctx, tenant.Account, demoQueue); err != nil {
		return err
	}
	parrot, err := echo.New(echo.Config{})
	if err != nil {
		return err
	}
	conn, err := n.engine.Dial(tenant.Account)
	if err != nil {
		return err
	}
	cfg := worker.Config{Conns: []*nats.Conn{conn}, Queue: demoQueue, Name: "echo", Continue: parrot.Continue, Grace: -1, Log: n.log}
	n.stages.start(func(ctx context.Context) error {
		defer conn.Close()
		if err := worker.Run(ctx, cfg, parrot.Answer); err != nil {
			n.log.Warn("the demo's worker has ended", "err", err) // its tenant was suspended or deleted
		}
		<-ctx.Done()
		return nil
	}, n.ended)
	return nil
}

const demoText = `
Open this in a browser to chat with the AI, as the user ann:

  http://%[1]s/#token=%[8]s

Open this in two tabs to call yourself, or in two browsers on this machine:

  http://%[1]s/meet#room=lobby&token=%[8]s

The tenant demo has two agents and a service, too. Paste this into another terminal:

  HOST=%[1]s
  ALICE='%[2]s'
  BOB='%[3]s'

Two agents talk over WebSocket (any client will do):

  npx wscat -c "ws://$HOST/v1/ws?channel_id=general&token=$ALICE"
  npx wscat -c "ws://$HOST/v1/ws?channel_id=general&token=$BOB"
  > {"type":"message","content":"hello"}

or over HTTP:

  curl -H "Authorization: Bearer $ALICE" -d '{"content":"hello"}' http://$HOST/v1/channels/general/messages
  curl -H "Authorization: Bearer $BOB" http://$HOST/v1/channels/general/messages

A back end listens to them with plain NATS:

  nats --server %[4]s --creds %[5]s sub 'channel.>'

An admin looks on, and makes more of everything:

  %[6]s channel tail%[7]s --tenant demo general
  %[6]s channel publish%[7]s --tenant demo general "hello from the command line"
  %[6]s tenant create%[7]s acme

When ann asks for a human, that may be you:

  %[6]s session queue%[7]s --tenant demo

`
