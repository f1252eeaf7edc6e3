package main

import (
	"log/slog"
	"time"

	"parley/admin"
	"parley/internal/fault"
	"parley/internal/loglevel"
	"parley/internal/meter"
)

type loglevelCmd struct {
	remote
	asJSON
	Level string        `arg:"" optional:"" help:"Least severe level that is to be logged: debug, info, warn or error. Without it, the one that is logged now is shown."`
	For   time.Duration `placeholder:"DURATION" help:"How long, such as 10m; then the configured level holds again. Defaults to the time until the next restart."`
}

// Help says what it is about.
func (loglevelCmd) Help() string {
	return `It is about one node, and holds at once. After a restart, and after --for, the node logs as it is configured to (serve --log-level). The change is in the log itself and in the audit log; the level that holds is in the metrics, parley_log_level.

  parley loglevel
  parley loglevel debug --for 10m
  parley loglevel info --server http://n2:8081 --admin-key-file ann.key`
}

// Run shows the level, or sets it and shows what then holds.
func (cmd *loglevelCmd) Run(c *console) error {
	if cmd.For < 0 || cmd.For > 0 && cmd.For < time.Second {
		return fault.New(fault.Usage, "The level must hold for at least a second.")
	}
	if cmd.Level == "" && cmd.For > 0 {
		return fault.New(fault.Usage, "Say which level is to hold for %s.", cmd.For).WithFix("Such as: parley loglevel debug --for %s", cmd.For)
	}
	return cmd.with(c, func(client *admin.Client) (err error) {
		var l admin.LogLevel
		if cmd.Level == "" {
			l, err = client.LogLevel(c.ctx)
		} else {
			l, err = client.SetLogLevel(c.ctx, cmd.Level, admin.NewLogLevel{ForSeconds: int64(cmd.For / time.Second)})
		}
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(l)
		}
		switch {
		case !l.Until.IsZero():
			c.hint("The node %s logs %s until %s, then %s again.", l.Node, l.Level, when(l.Until), l.Configured)
		case l.Level != l.Configured:
			c.hint("The node %s logs %s until its next restart, then %s again.", l.Node, l.Level, l.Configured)
		}
		return c.printLine(l.Level)
	})
}

// reportLogLevel tells how much this node logs.
func reportLogLevel(dial *loglevel.Dial) meter.Source {
	return meter.SourceFunc(func(r *meter.Report) {
		for l := slog.LevelDebug; l <= slog.LevelError; l += 4 {
			r.Bool("parley_log_level", "Whether this is the least severe level that is logged.", l == dial.Level(), meter.Label{Name: "level", Value: loglevel.Name(l)})
		}
	})
}
