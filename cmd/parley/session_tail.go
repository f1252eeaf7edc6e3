package main

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/admin"
	"parley/internal/fault"
	"parley/sessions"
)

type sessionTailCmd struct {
	oneSession
	From uint64 `default:"1" help:"Begin with the event of this index; 0 prints only what comes. Defaults to 1, the beginning."`
	JSON bool   `name:"json" help:"Print the events of the log as they are, each on a line of its own."`
}

// Run follows a session until it is closed or the command is interrupted. When the server goes away it waits for it to
// come back, and goes on where it was.
func (cmd *sessionTailCmd) Run(c *console) error {
	reader, reached := transcript{out: c.stdout}, false
	for {
		closed := false
		err := cmd.with(c, func(client *admin.Client) error {
			o, err := client.Session(c.ctx, cmd.Tenant, cmd.ID)
			if err != nil {
				return err
			}
			if cmd.From == 0 {
				cmd.From = o.Index + 1
			}
			if closed = o.State.Closed && cmd.From > o.Index; closed {
				return nil
			}
			reached = true
			return client.TailSession(c.ctx, cmd.Tenant, cmd.ID, cmd.From, func(line jsontext.Value) error {
				e, err := cmd.each(c, &reader, line)
				if closed = e.Kind == sessions.Closed; closed && err == nil {
					err = errEnd
				}
				return err
			})
		})
		reader.breakLine()
		switch code := fault.CodeOf(err); {
		case c.ctx.Err() != nil:
			return c.ctx.Err()
		case closed:
			return reader.err
		case err != nil && (!reached || code != fault.Unavailable && code != fault.Draining):
			return err
		}
		c.hint("-- the server ended the connection; trying again --")
		select {
		case <-time.After(tailAgain):
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

// errEnd ends a tail of a session in which nothing more comes.
var errEnd = fault.New(fault.SessionClosed, "The session is closed.")

// each prints an event and notes where to go on from.
func (cmd *sessionTailCmd) each(c *console, to *transcript, line jsontext.Value) (e sessions.Event, err error) {
	if err := json.Unmarshal(line, &e); err != nil {
		return e, err
	}
	if e.Index > 0 {
		cmd.From = e.Index + 1
	}
	if cmd.JSON {
		return e, c.printLine(string(line))
	}
	to.tell(&e)
	return e, to.err
}
