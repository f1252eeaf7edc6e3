package main

import "parley/bench"

type benchFanoutCmd struct {
	benchRun
	benchTimes
	Subscribers int     `default:"1000" help:"Subscribers of the channel. Defaults to 1000."`
	Size        int     `default:"128" help:"Bytes of content in a message. Defaults to 128."`
	Rate        float64 `default:"0" help:"Messages a second; 0 means as many as the window allows. Defaults to 0."`
	Half        bool    `help:"Half of full rate, which the warm-up finds out."`
	Window      int     `default:"32" help:"Messages that not all subscribers have yet. Defaults to 32."`
}

// Run prints what the load has cost and whether everything arrived.
func (cmd *benchFanoutCmd) Run(c *console) error {
	return cmd.run(c, cmd.benchTimes, 0, bench.Fanout{Subscribers: cmd.Subscribers, Size: cmd.Size, Rate: cmd.Rate, Half: cmd.Half, Window: cmd.Window})
}
