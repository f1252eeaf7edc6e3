package main

import (
	"cmp"
	"os"
	"runtime"
	"strings"
	"time"

	"parley/admin"
	"parley/bench"
	"parley/internal/fault"
)

type benchCmd struct {
	Fanout    benchFanoutCmd    `cmd:"" help:"One publisher, many subscribers of its channel."`
	Channels  benchChannelsCmd  `cmd:"" help:"Many small channels with a publisher each."`
	Ack       benchAckCmd       `cmd:"" help:"From publishing to the ACK, which says that the message is on disk."`
	Idle      benchIdleCmd      `cmd:"" help:"Connections that say nothing: what a connect costs, and what one holds."`
	Tokens    benchTokensCmd    `cmd:"" help:"Many streams of small messages, as answers of language models come."`
	Answers   benchAnswersCmd   `cmd:"" help:"Answers of an AI worker that stream to users, through the log of their sessions."`
	Reconnect benchReconnectCmd `cmd:"" help:"Connections that are cut at once and come back for what they missed."`
	Tenants   benchTenantsCmd   `cmd:"" help:"Many tenants with an agent each: what a tenant costs."`
	Stored    benchStoredCmd    `cmd:"" help:"Looks into channels that hold many messages: history, and what was missed."`
}

// Help says what a benchmark does to the server.
func (benchCmd) Help() string {
	return `Puts load on a running server and counts exactly what becomes of every message. It makes a tenant bench-… for itself and removes it afterwards; other tenants share the machine with it, so think twice on a server in use. The exit status is 1 when a message was lost, doubled or out of order.

  parley bench fanout --subscribers 1000
  parley bench ack --connections 100 --window 16 --json`
}

// benchRun is what all benchmarks have in common.
type benchRun struct {
	remote
	asJSON
	Node    []string `sep:"none" placeholder:"NODE" help:"Another node of the server's cluster: its data directory on this machine, or the admin URL, with a comma and the file with its admin key when that differs. Connections are spread over all nodes, and what it costs is the sum. May be repeated."`
	Address []string `sep:"none" placeholder:"HOST:PORT" help:"Where clients connect; may be repeated. Defaults to the first address that each node names."`
	Keep    bool     `help:"Leave what was made for the run in place, to see what it costs after a restart."`
	Quiet   bool     `short:"q" help:"Show no progress."`
	Threads int      `default:"1" help:"Threads that make the load. Defaults to 1, which leaves most to the server and is enough for it."`
}

// benchTimes are of benchmarks that last.
type benchTimes struct {
	Warmup   time.Duration `default:"1s" help:"How long to wait before anything counts. Defaults to 1s."`
	Duration time.Duration `default:"5s" help:"How long to count. Defaults to 5s."`
}

// run runs a scenario and prints what it has found.
func (cmd benchRun) run(c *console, times benchTimes, settle time.Duration, scenario bench.Scenario) error {
	if cmd.Threads < 1 || times.Warmup < 0 || times.Duration < 0 || settle < 0 {
		return fault.New(fault.Usage, "There has to be a thread, and no time is negative.")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cmd.Threads))
	show, wipe := c.progress(cmd.Quiet)
	return cmd.with(c, func(client *admin.Client) error {
		nodes, err := cmd.nodes(c, client)
		defer func() {
			for _, node := range nodes[1:] {
				node.Close()
			}
		}()
		if err != nil {
			return err
		}
		opts := bench.Options{
			Addresses: cmd.Address, Warmup: times.Warmup, Duration: times.Duration, Settle: settle, Keep: cmd.Keep, Progress: show,
		}
		result, err := bench.Run(c.ctx, nodes, opts, scenario)
		wipe()
		if err != nil {
			return err
		}
		if cmd.JSON {
			err = c.printJSON(result)
		} else {
			err = result.Write(c.stdout)
		}
		if err == nil && !result.Counts.Exact() {
			err = fault.New(fault.Internal, "Not every message arrived exactly once and in order.")
		}
		return err
	})
}

// nodes returns the first node and those that the flags name. The caller closes them, also when there is an error.
func (cmd benchRun) nodes(c *console, first *admin.Client) (all []*admin.Client, err error) {
	all = append(all, first)
	for _, name := range cmd.Node {
		var node *admin.Client
		if url, keyFile, _ := strings.Cut(name, ","); strings.Contains(url, "://") {
			at := cmd.remote
			at.Server, at.AdminKeyFile = url, cmp.Or(keyFile, at.AdminKeyFile)
			node, err = at.client(c)
		} else {
			node, err = nodeOf(name)
		}
		if err != nil {
			return all, err
		}
		all = append(all, node)
	}
	return all, nil
}

// nodeOf connects to the server that runs on a data directory.
func nodeOf(dataDir string) (*admin.Client, error) {
	url, key, err := admin.Find(dataDir)
	if err != nil {
		return nil, err
	}
	return admin.NewClient(url, key)
}

// progress returns how to say what is going on, and how to take it back: on a terminal it is one line.
func (c *console) progress(quiet bool) (show func(string), wipe func()) {
	if quiet {
		return nil, func() {}
	}
	if f, ok := c.stderr.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return func(line string) { c.tell("\r%s\x1b[K", line) }, func() { c.tell("\r\x1b[K") }
		}
	}
	return func(line string) { c.tell("%s\n", line) }, func() {}
}
