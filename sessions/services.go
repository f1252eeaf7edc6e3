package sessions

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/nats-io/nats.go"

	"parley/broker"
	"parley/internal/fault"
	"parley/internal/trace"
)

// maxServing bounds what services of one tenant have this node do at the same time.
const maxServing = 64

// asked is what a service sends with session.<id>.do.<verb>. docs/sessions.md describes it.
type asked struct {
	Operator string          `json:"operator"` // who claims, replies and releases
	ID       string          `json:"id"`       // say, reply: by which a repetition is recognised
	Text     string          `json:"text"`     // say, reply; escalate and close: why
	Metadata json.RawMessage `json:"metadata"` // say, reply
	Run      string          `json:"run"`      // stop
}

// served is how a service is answered.
type served struct {
	OK        bool      `json:"ok"`
	ID        string    `json:"id,omitzero"` // say, reply: of the message
	Duplicate bool      `json:"duplicate,omitzero"`
	Session   *Overview `json:"session,omitzero"` // info
	Error     *Problem  `json:"error,omitzero"`
}

// serve carries out what a service asks for.
func (s *space) serve(m *nats.Msg) {
	id, what, ok := broker.Subject(m.Subject).Session()
	if !ok {
		return
	}
	respond := func(r served) {
		if data, err := json.Marshal(r); err == nil {
			broker.Answer(m, data)
		}
	}
	refuse := func(err error) { respond(served{Error: &Problem{fault.CodeOf(err), fault.Message(err)}}) }
	c, err := readAsked(strings.TrimPrefix(what, "do."), m.Data)
	if err != nil {
		refuse(err)
		return
	}
	c.Say.Trace = trace.Parse(m.Header.Get(trace.Header))
	select {
	case s.serving <- struct{}{}:
	default:
		refuse(fault.New(fault.RateLimited, "The tenant's services ask too much at the same time."))
		return
	}
	if !s.start(func() {
		defer func() { <-s.serving }()
		answer, err := s.answer(context.WithoutCancel(s.life), id, c)
		if err != nil {
			refuse(err)
			return
		}
		respond(answer)
	}) {
		<-s.serving
		refuse(errClosed())
	}
}

// answer carries out what was read from a request.
func (s *space) answer(ctx context.Context, id broker.Token, c command) (served, error) {
	if c.Verb == inform {
		ctx, cancel := context.WithTimeout(ctx, commandWithin)
		defer cancel()
		info, err := s.info(ctx, id)
		if err != nil {
			return served{}, err
		}
		o, err := s.overview(ctx, info)
		return served{OK: true, Session: &o}, err
	}
	r, err := s.do(ctx, id, c)
	if err != nil {
		return served{}, err
	}
	answer := served{OK: true, Duplicate: r.Duplicate}
	if r.Event != nil {
		answer.ID = r.Event.ID
	}
	return answer, nil
}

// readAsked reads what a service wants. Services are the tenant's own: they may do everything in its sessions.
func readAsked(what string, data []byte) (c command, err error) {
	var a asked
	if len(data) > 0 {
		if err := json.Unmarshal(data, &a); err != nil {
			return c, fault.Wrap(fault.InvalidFormat, err, "The request is no JSON object.")
		}
	}
	c = command{Verb: verb(what), By: Principal{User: a.Operator, Operator: true}, Run: a.Run, Text: a.Text}
	if err := c.By.check(); err != nil {
		return c, err
	}
	switch what {
	case "say", "reply":
		c.Verb, c.Role, c.Text = say, User, ""
		if what == "reply" {
			c.Role = Operator
		}
		c.Say = Utterance{ID: a.ID, Text: a.Text, Metadata: a.Metadata}
		return c, c.Say.check()
	case string(stop), string(escalate), string(claim), string(release), string(finish), string(inform):
		return c, nil
	}
	return c, fault.New(fault.InvalidFormat, "There is no verb %q.", what).
		WithFix("The verbs are say, reply, stop, escalate, claim, release, close and info.")
}
