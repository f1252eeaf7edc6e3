package main

import (
	"parley/internal/fault"
	"parley/sessions/worker"
	"parley/sessions/worker/echo"
)

type workerEchoCmd struct {
	workerRun
	Rate   float64 `default:"20" help:"Words a second. Defaults to 20."`
	Repeat int     `default:"1" help:"How often everything is said. Defaults to 1."`
}

// Run answers until it is told to stop.
func (cmd *workerEchoCmd) Run(c *console) error {
	e, err := echo.New(echo.Config{Rate: cmd.Rate, Repeat: cmd.Repeat})
	if err != nil {
		return fault.Wrap(fault.Usage, err, "The echo can't be like that: %s.", err)
	}
	return cmd.run(c, cmd.logger(c), worker.Config{Name: "echo", Continue: e.Continue}, e.Answer)
}
