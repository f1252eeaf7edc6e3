package main

import "parley/bench"

type benchAckCmd struct {
	benchRun
	benchTimes
	Connections int `default:"1" help:"Connections, each with a channel of its own. Defaults to 1."`
	Window      int `default:"1" help:"Messages of a connection that are not acknowledged yet; 1 sends one after the other. Defaults to 1."`
	Size        int `default:"128" help:"Bytes of content in a message. Defaults to 128."`
}

// Run prints what the load has cost and whether everything arrived.
func (cmd *benchAckCmd) Run(c *console) error {
	return cmd.run(c, cmd.benchTimes, 0, bench.Ack{Connections: cmd.Connections, Window: cmd.Window, Size: cmd.Size})
}
