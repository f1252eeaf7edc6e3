package main

import (
	"time"

	"parley/bench"
)

type benchIdleCmd struct {
	benchRun
	Connections int           `default:"10000" help:"Connections, each of another agent. Defaults to 10000."`
	Channels    int           `default:"1000" help:"Channels that the connections are spread over. Defaults to 1000."`
	Settle      time.Duration `default:"10s" help:"How long to leave the connections alone before the memory is read. Defaults to 10s."`
}

// Run prints what the load has cost and whether everything arrived.
func (cmd *benchIdleCmd) Run(c *console) error {
	return cmd.run(c, benchTimes{}, cmd.Settle, bench.Idle{Connections: cmd.Connections, Channels: cmd.Channels})
}
