package main

import (
	"time"

	"parley/bench"
)

type benchStoredCmd struct {
	benchRun
	Messages    int           `default:"100000" help:"Messages to store in all channels together. Defaults to 100000."`
	Channels    int           `default:"100" help:"Channels that hold them, in turn. Defaults to 100."`
	Connections int           `default:"10" help:"Connections that publish them. Defaults to 10."`
	Size        int           `default:"128" help:"Bytes of content in a message. Defaults to 128."`
	Looks       int           `default:"500" help:"Looks of each kind. Defaults to 500."`
	Settle      time.Duration `default:"0s" help:"How long to leave the broker alone before its memory is read. Defaults to 0s."`
}

// Run prints what the load has cost and whether everything arrived.
func (cmd *benchStoredCmd) Run(c *console) error {
	return cmd.run(c, benchTimes{}, cmd.Settle, bench.Stored{
		Messages: cmd.Messages, Channels: cmd.Channels, Connections: cmd.Connections, Size: cmd.Size, Looks: cmd.Looks,
	})
}
