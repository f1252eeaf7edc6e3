package main

import (
	"time"

	"parley/bench"
)

type benchChannelsCmd struct {
	benchRun
	benchTimes
	Channels    int           `default:"500" help:"Channels, each with a publisher. Defaults to 500."`
	Connections int           `default:"0" help:"Connections that share the publishing, and as many the receiving, at a --rate; then also what a channel holds is found out. 0 means one for each publisher and subscriber. Defaults to 0."`
	Subscribers int           `default:"2" help:"Subscribers of each channel. Defaults to 2."`
	Size        int           `default:"128" help:"Bytes of content in a message. Defaults to 128."`
	Rate        float64       `default:"0" help:"Messages a second in all channels together; 0 means as many as can be in flight. Defaults to 0."`
	InFlight    int           `default:"1000" help:"Messages in all channels together that are not delivered yet. Defaults to 1000."`
	Settle      time.Duration `default:"10s" help:"With --connections: how long to leave the broker alone before its memory is read. Defaults to 10s."`
}

// Run prints what the load has cost and whether everything arrived.
func (cmd *benchChannelsCmd) Run(c *console) error {
	return cmd.run(c, cmd.benchTimes, cmd.Settle, bench.Channels{
		Channels: cmd.Channels, Subscribers: cmd.Subscribers, Size: cmd.Size, Rate: cmd.Rate, InFlight: cmd.InFlight, Connections: cmd.Connections,
	})
}
