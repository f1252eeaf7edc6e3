package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"parley/internal/fault"
)

// commands is the whole command line: noun, then verb.
type commands struct {
	Serve      serveCmd      `cmd:"" help:"Run a broker."`
	Config     configCmd     `cmd:"" help:"Look at the settings of serve."`
	Tenant     tenantCmd     `cmd:"" help:"Make, look at and switch off tenants."`
	Apply      applyCmd      `cmd:"" help:"Make tenants what a file says."`
	Key        keyCmd        `cmd:"" help:"Say which keys sign a tenant's tokens."`
	Token      tokenCmd      `cmd:"" help:"Issue, inspect and revoke tokens of agents and users."`
	Apikey     apikeyCmd     `cmd:"" name:"apikey" help:"Make and revoke the keys with which back ends embed chat."`
	Creds      credsCmd      `cmd:"" help:"Issue and revoke NATS credentials of services."`
	NATS       natsCmd       `cmd:"" name:"nats" help:"Set up external NATS servers."`
	Agent      agentCmd      `cmd:"" help:"Look at a tenant's agents, and close their connections."`
	Channel    channelCmd    `cmd:"" help:"Publish to channels, read and follow them."`
	Session    sessionCmd    `cmd:"" help:"Look at conversations, and take them over from the AI."`
	Room       roomCmd       `cmd:"" help:"Look at calls, and at who is in them."`
	Deadletter deadletterCmd `cmd:"" help:"See to the messages that receivers never acknowledged."`
	Adminkey   adminkeyCmd   `cmd:"" name:"adminkey" help:"Make and revoke the keys of admins, by name."`
	Audit      auditCmd      `cmd:"" help:"Look at what admins have done."`
	Loglevel   loglevelCmd   `cmd:"" name:"loglevel" help:"Have a node log more or less, without a restart."`
	Usage      usageCmd      `cmd:"" help:"What tenants have used: connections, messages, bytes, storage, tokens."`
	Top        topCmd        `cmd:"" help:"Watch what nodes and tenants are doing."`
	Node       nodeCmd       `cmd:"" help:"Look at the nodes of a cluster, and replace one."`
	Backup     backupCmd     `cmd:"" help:"Copy tenants into a file while the server serves."`
	Restore    restoreCmd    `cmd:"" help:"Bring tenants back from a backup."`
	Worker     workerCmd     `cmd:"" help:"Answer what users say in sessions."`
	Bench      benchCmd      `cmd:"" help:"Load a server, and count what becomes of every message."`
	Completion completionCmd `cmd:"" help:"Complete commands and flags in your shell."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

const description = `A multi-tenant message broker for AI agents and chat.

A setting of serve may stand in a YAML file, in the environment as PARLEY_ and its name, or on the command line; the
latter count more. "parley config doc" lists them all.

Exit status: ` + exitDoc

// run is the program. It returns the exit status when ctx ends or the command is done.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &console{ctx: ctx, getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr, self: self()}
	err := c.dispatch(args)
	if err == nil || errors.Is(err, context.Canceled) && ctx.Err() != nil { // stopped on purpose
		return exitOK
	}
	c.complain(err)
	return exitStatus(err)
}

// leave is what kong's Exit is turned into: --help ends the program, but not without run.
type leave struct{ status int }

func (c *console) dispatch(args []string) (err error) {
	defer func() {
		switch left := recover().(type) {
		case nil:
		case leave:
			if left.status != 0 {
				err = fault.New(fault.Usage, "Nothing was done.")
			}
		default:
			panic(left)
		}
	}()
	parser, err := kong.New(&commands{},
		kong.Name("parley"), kong.Description(description), kong.UsageOnError(), kong.Help(help),
		kong.Writers(c.stdout, c.stderr),
		kong.Exit(func(status int) { panic(leave{status}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ValueFormatter(helpOf),
		kong.Resolvers(&sources{getenv: c.getenv}),
		kong.Bind(c))
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return usage(err)
	}
	return command.Run()
}

// usage turns what kong says of a command line into a fault.
func usage(err error) error {
	if fault.CodeOf(err) != fault.Internal {
		return err
	}
	fix := "See: parley --help"
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil && parse.Context.Selected() != nil {
		fix = "See: parley " + strings.TrimPrefix(parse.Context.Selected().FullPath(), "parley ") + " --help"
	}
	text := err.Error()
	return fault.New(fault.Usage, "%s.", strings.ToUpper(text[:1])+text[1:]).WithFix("%s", fix)
}
