package main

import (
	"time"

	"parley/bench"
)

type benchTenantsCmd struct {
	benchRun
	benchTimes
	Tenants int           `default:"100" help:"Tenants, each with an agent and a channel. Defaults to 100."`
	Rate    float64       `default:"2000" help:"Messages a second in all of them together. Defaults to 2000."`
	Size    int           `default:"128" help:"Bytes of content in a message. Defaults to 128."`
	Settle  time.Duration `default:"10s" help:"How long to leave the broker alone before its memory is read. Defaults to 10s."`
}

// Run prints what the load has cost and whether everything arrived.
func (cmd *benchTenantsCmd) Run(c *console) error {
	return cmd.run(c, cmd.benchTimes, cmd.Settle, bench.Tenants{Tenants: cmd.Tenants, Rate: cmd.Rate, Size: cmd.Size})
}
