package agents

import (
	"time"

	"github.com/google/uuid"

	"parley/acks"
	"parley/broker"
	"parley/channels"
	"parley/internal/fault"
	"parley/internal/trace"
	"parley/tenants"
)

// compose makes a message of a frame, checking all that can be checked before it is stored.
func compose(req request, g *tenants.Grant, home broker.Name) (m channels.Message, err error) {
	if err := channels.CheckType(req.Type); err != nil {
		return m, err
	}
	if content, _ := req.member("content"); content.Name == "" && req.Type == "message" { // null is a content
		return m, fault.New(fault.InvalidFormat, "The message has no content.")
	}
	m = channels.Message{Sender: g.Agent, ID: req.ID, Time: time.Now(), Members: req.Members}
	if m.To, err = destination(req, g.Tenant, home); err != nil {
		return m, err
	}
	if !g.MayPublish(string(m.To.Subject())) {
		return m, fault.New(fault.PermissionDenied, "The token does not allow to publish on %s.", m.To.Subject())
	}
	if m.ID == "" {
		m.ID = uuid.Must(uuid.NewV7()).String()
	}
	return m, nil
}

// destination is where a frame's message goes: what the frame says, else the connection's channel.
func destination(req request, tenant tenants.ID, home broker.Name) (channels.Address, error) {
	to := channels.Address{Tenant: tenant}
	var err error
	if to.Channel, err = req.channel(); err != nil {
		return to, err
	}
	if to.Agent, err = req.target(); err != nil {
		return to, err
	}
	switch {
	case to.Channel != "" && to.Agent != "":
		return to, fault.New(fault.InvalidFormat, "A message has a channel_id or a target, not both.")
	case to.Channel == "" && to.Agent == "":
		if home == "" {
			return to, fault.New(fault.NoDestination, "The message names neither a channel_id nor a target.").
				WithFix("Add one of them, or connect with channel_id in the URL.")
		}
		to.Channel = home
	}
	return to, nil
}

// publish hands a message over. Its receipt answers the client.
func (c *connection) publish(req request) error {
	if c.dialect.draining.Load() {
		return fault.New(fault.Draining, "The broker is shutting down; the message was not stored.")
	}
	m, err := compose(req, c.grant, c.terms.channel)
	if err != nil {
		return err
	}
	if c.unacked == nil {
		c.unacked = make(chan struct{}, maxUnacked)
	}
	c.unacked <- struct{}{} // a receipt makes room: none takes longer than its publisher's timeout
	c.dialect.unacked.Add(1)
	r := &receipt{connection: c, id: m.ID, time: m.Time, span: c.traced(req, &m)}
	if err := c.space.Publish(c.dialect.life, m, r); err != nil {
		r.span.End(string(fault.CodeOf(err)))
		r.done()
		return err
	}
	return nil
}

// receipt answers one message.
type receipt struct {
	*connection
	id   string
	time time.Time
	span *trace.Span // nil when nobody traces the message
}

// Settle writes down what became of the message, for Flush to send.
func (r *receipt) Settle(o acks.Outcome) {
	r.span.End(string(fault.CodeOf(o.Err)))
	if r.settled == nil {
		r.settled = make([]byte, 0, answerBytes*min(len(r.unacked), answersAtOnce))
	}
	switch {
	case o.Err != nil:
		r.settled = append(r.settled, errorFrame(r.id, o.Err)...)
	case o.Unstored:
		r.settled = append(r.settled, unstoredFrame(r.id, r.time)...)
	default:
		r.settled = appendStored(r.settled, r.id, r.time, o.Seq, o.Duplicate)
	}
}

// An answer has about answerBytes; memory for answersAtOnce of them is taken at first, if so many are awaited.
const (
	answerBytes   = 128
	answersAtOnce = 16
)

// Flush sends the client all its answers of a round in one piece, for the first of its messages in the round.
func (r *receipt) Flush() {
	if len(r.settled) > 0 {
		r.answer(r.settled)
		r.settled = nil // the socket has it
	}
	r.done()
}

func (r *receipt) done() {
	<-r.unacked
	r.dialect.unacked.Add(-1)
}
