package main

import "parley/bench"

type benchTokensCmd struct {
	benchRun
	benchTimes
	Streams    int     `default:"500" help:"Channels with one subscriber each. Defaults to 500."`
	Rate       float64 `default:"50" help:"Messages a second in each. Defaults to 50."`
	Size       int     `default:"40" help:"Bytes of content in a message. Defaults to 40."`
	Publishers int     `default:"0" help:"Connections that share the streams; 0 means one each. Defaults to 0."`
}

// Run prints what the load has cost and whether everything arrived.
func (cmd *benchTokensCmd) Run(c *console) error {
	return cmd.run(c, cmd.benchTimes, 0, bench.Tokens{Streams: cmd.Streams, PerSecond: cmd.Rate, Size: cmd.Size, Publishers: cmd.Publishers})
}
