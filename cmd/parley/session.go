package main

import (
	"os/user"

	"parley/admin"
	"parley/sessions"
)

type sessionCmd struct {
	List    sessionListCmd    `cmd:"" help:"List conversations, the newest first."`
	Show    sessionShowCmd    `cmd:"" help:"Show a conversation: who answers in it, and what was said."`
	Tail    sessionTailCmd    `cmd:"" help:"Follow a conversation while it goes on."`
	Queue   sessionQueueCmd   `cmd:"" help:"List the conversations that wait for a human."`
	Claim   sessionClaimCmd   `cmd:"" help:"Take a conversation over from the AI."`
	Reply   sessionReplyCmd   `cmd:"" help:"Say something in a conversation that you have claimed."`
	Release sessionReleaseCmd `cmd:"" help:"Hand a conversation back to the AI."`
	Stop    sessionStopCmd    `cmd:"" help:"Stop the answer that is being given."`
	Close   sessionCloseCmd   `cmd:"" help:"End a conversation for good; what was said stays."`
}

// oneSession is what all commands about one session have.
type oneSession struct {
	remote
	Tenant string `required:"" help:"Id of the tenant."`
	ID     string `arg:"" help:"Id of the session."`
}

// asOperator is the flag of commands that a human gives in his own name.
type asOperator struct {
	Operator string `placeholder:"NAME" help:"Name of the human who does it. Defaults to your name on this machine."`
}

// name returns the operator's name.
func (o asOperator) name() string {
	if o.Operator != "" {
		return o.Operator
	}
	if me, err := user.Current(); err == nil {
		return me.Username
	}
	return "operator"
}

// answerer says who answers the user.
func answerer(s sessions.State) string {
	switch {
	case s.Closed:
		return "nobody: closed"
	case s.Mode == sessions.Waiting:
		return "AI, until a human comes"
	case s.Mode == sessions.ByHuman:
		return s.Operator
	}
	return "AI"
}

// sessionJSON prints a session for programs, or its id for people.
func (c *console) printSession(o sessions.Overview, asJSON bool) error {
	if asJSON {
		return c.printJSON(o)
	}
	return c.printLine(o.ID)
}

// order gives one order about a session and prints it.
func (cmd oneSession) order(c *console, asJSON bool, give func(*admin.Client) (sessions.Overview, error)) error {
	return cmd.with(c, func(client *admin.Client) error {
		o, err := give(client)
		if err != nil {
			return err
		}
		return c.printSession(o, asJSON)
	})
}
