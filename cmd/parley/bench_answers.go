package main

import "parley/bench"

type benchAnswersCmd struct {
	benchRun
	benchTimes
	Streams int     `default:"500" help:"Conversations with one running answer each. Defaults to 500."`
	Rate    float64 `default:"50" help:"Pieces a second in each. Defaults to 50."`
	Size    int     `default:"40" help:"Bytes of a piece. Defaults to 40."`
}

// Run prints what the load has cost and whether everything arrived.
func (cmd *benchAnswersCmd) Run(c *console) error {
	return cmd.run(c, cmd.benchTimes, 0, bench.Answers{Streams: cmd.Streams, PerSecond: cmd.Rate, Size: cmd.Size})
}
