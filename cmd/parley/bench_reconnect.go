package main

import "parley/bench"

type benchReconnectCmd struct {
	benchRun
	Connections int `default:"5000" help:"Connections, each of another agent. Defaults to 5000."`
	Channels    int `default:"500" help:"Channels that the connections are spread over. Defaults to 500."`
	Missed      int `default:"10" help:"Messages that each connection misses. Defaults to 10."`
	Dialing     int `default:"256" help:"Connections in setup at a time. Defaults to 256."`
}

// Run prints what the load has cost and whether everything arrived.
func (cmd *benchReconnectCmd) Run(c *console) error {
	return cmd.run(c, benchTimes{}, 0, bench.Reconnect{Connections: cmd.Connections, Channels: cmd.Channels, Missed: cmd.Missed, Dialing: cmd.Dialing})
}
