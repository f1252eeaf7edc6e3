package sessions

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"parley/broker"
	"parley/internal/fault"
	"parley/internal/trace"
)

// verb is what somebody wants of a session's writer.
type verb string

const (
	say      verb = "say"
	stop     verb = "stop"
	escalate verb = "escalate"
	claim    verb = "claim"
	release  verb = "release"
	finish   verb = "close"
	inform   verb = "info"   // what services ask; it needs no writer
	attend   verb = "attend" // nothing, but to see to what is unfinished
)

// command is what is sent to a session's writer, on this node or another.
type command struct {
	Verb verb      `json:"verb"`
	By   Principal `json:"by"`
	Role Role      `json:"role,omitzero"` // say
	Say  Utterance `json:"say,omitzero"`
	Run  string    `json:"run,omitzero"`  // stop
	Text string    `json:"text,omitzero"` // escalate, finish: why
}

// result is what became of a command.
type result struct {
	Event     *Event `json:"event,omitzero"` // say
	Duplicate bool   `json:"duplicate,omitzero"`
}

// reply is how another node answers.
type reply struct {
	result
	Code    fault.Code `json:"code,omitzero"`
	Message string     `json:"message,omitzero"`
	Moved   bool       `json:"moved,omitzero"`
}

// errMoved says that this node does not write the session any more: ask again who does.
var errMoved = errors.New("another node writes the session")

// do has the session's writer carry a command out, wherever it is.
func (s *space) do(ctx context.Context, id broker.Token, c command) (r result, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	if c.Verb == say {
		span := s.traceSay(id, &c)
		defer func() { span.End(string(fault.CodeOf(err))) }()
	}
	for ctx.Err() == nil {
		if r, err = s.try(ctx, id, c); !errors.Is(err, errMoved) {
			return r, err
		}
	}
	return result{}, fault.New(fault.Unavailable, "The session is moving to another node.")
}

// commandWithin bounds what a command waits for.
const commandWithin = 8 * time.Second

func (s *space) try(ctx context.Context, id broker.Token, c command) (result, error) {
	type outcome struct {
		result
		err error
	}
	answer := make(chan outcome, 1)
	work := call{command: &c, answer: func(r result, err error) { answer <- outcome{r, err} }}
	if !s.submit(id, work) {
		if s.hub.engine.Clustered() {
			r, err := s.ask(ctx, id, c)
			if !errors.Is(err, nats.ErrNoResponders) {
				return r, err
			}
		}
		if err := s.write(id, work); err != nil {
			return result{}, err
		}
	}
	select {
	case o := <-answer:
		return o.result, o.err
	case <-ctx.Done():
		return result{}, fault.Wrap(fault.OutcomeUnknown, ctx.Err(), "It took too long to learn whether this was done.")
	}
}

// ask sends a command to the node that writes the session.
func (s *space) ask(ctx context.Context, id broker.Token, c command) (result, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return result{}, err
	}
	m, err := s.conn.NATS().RequestWithContext(ctx, string(broker.SessionGateway(id)), data)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return result{}, err
	case err != nil:
		return result{}, fault.Wrap(fault.OutcomeUnknown, err, "The node that keeps the session did not answer.")
	}
	var r reply
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return result{}, err
	}
	switch {
	case r.Moved:
		return result{}, errMoved
	case r.Code != "":
		return result{}, fault.New(r.Code, "%s", r.Message)
	}
	return r.result, nil
}

// answered lays out what another node is told.
func answered(r result, err error) []byte {
	answer := reply{result: r}
	switch {
	case errors.Is(err, errMoved):
		answer.Moved = true
	case err != nil:
		answer.Code, answer.Message = fault.CodeOf(err), fault.Message(err)
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return []byte(`{"code":"INTERNAL","message":"Something went wrong."}`)
	}
	return data
}

// wake sees to it that some node writes the session: there is something unfinished in it.
func (s *space) wake(id broker.Token) {
	s.start(func() {
		if _, err := s.do(s.life, id, command{Verb: attend, By: Principal{Operator: true}}); err != nil && s.life.Err() == nil {
			s.hub.log.Warn("nobody sees to a session's answer", "session", id, "err", err)
		}
	})
}

// order sends a command in the name of a principal.
func (h *Hub) order(ctx context.Context, p Principal, id string, c command) (result, error) {
	s, sid, err := h.enter(ctx, p, id)
	if err != nil {
		return result{}, err
	}
	c.By = p
	return s.do(ctx, sid, c)
}

// Say stores what the principal says; when it returns nil the event is on disk and under way to all followers. Said by a
// user it is answered by the AI, or by the operator who has taken over; by an operator it is his reply. duplicate tells
// that the same ID was said before, and nothing was done. Errors are fault.NotFound, InvalidFormat, LimitExceeded (too
// many messages wait for an answer), SessionClosed, OutcomeUnknown and Unavailable.
func (h *Hub) Say(ctx context.Context, p Principal, id string, u Utterance) (e *Event, duplicate bool, err error) {
	role := User
	if p.Operator {
		role = Operator
	}
	if err := u.check(); err != nil {
		return nil, false, err
	}
	u.Trace = cmp.Or(u.Trace, trace.Parent(ctx))
	r, err := h.order(ctx, p, id, command{Verb: say, Role: role, Say: u})
	return r.Event, r.Duplicate, err
}

const (
	maxTextBytes = 64 << 10
	maxIDBytes   = 128
)

func (u Utterance) check() error {
	if strings.TrimSpace(u.Text) == "" {
		return fault.New(fault.InvalidFormat, "The message is empty.")
	}
	if len(u.Text) > maxTextBytes || !utf8.ValidString(u.Text) {
		return fault.New(fault.MessageTooLarge, "A message has at most %d bytes of UTF-8.", maxTextBytes)
	}
	if len(u.ID) > maxIDBytes || len(u.Reply) > maxIDBytes {
		return fault.New(fault.InvalidID, "The id of a message has at most %d bytes.", maxIDBytes)
	}
	return checkMetadata(u.Metadata)
}

// Stop ends the running answer as Stopped. It does nothing when none is running. run limits it to the answer to that
// message; "" means any.
func (h *Hub) Stop(ctx context.Context, p Principal, id, run string) error {
	_, err := h.order(ctx, p, id, command{Verb: stop, Run: run})
	return err
}

// Escalate asks for a human. Asking twice changes nothing.
func (h *Hub) Escalate(ctx context.Context, p Principal, id, reason string) error {
	if len(reason) > maxTextBytes {
		return fault.New(fault.MessageTooLarge, "A reason has at most %d bytes.", maxTextBytes)
	}
	_, err := h.order(ctx, p, id, command{Verb: escalate, Text: reason})
	return err
}

// Claim has the operator p.User take a session over: the AI's running answer ends as Interrupted. It fails with
// fault.AlreadyExists when another operator has it.
func (h *Hub) Claim(ctx context.Context, p Principal, id string) error {
	_, err := h.order(ctx, p, id, command{Verb: claim})
	return err
}

// Release hands a session back to the AI.
func (h *Hub) Release(ctx context.Context, p Principal, id string) error {
	_, err := h.order(ctx, p, id, command{Verb: release})
	return err
}

// Close ends a session for good; its log stays. reason is for its followers.
func (h *Hub) Close(ctx context.Context, p Principal, id, reason string) error {
	_, err := h.order(ctx, p, id, command{Verb: finish, Text: reason})
	return err
}

// Delete closes a session and erases its log.
func (h *Hub) Delete(ctx context.Context, p Principal, id string) error {
	s, sid, err := h.enter(ctx, p, id)
	if err != nil {
		return err
	}
	info, err := s.info(ctx, sid)
	if err != nil {
		return err
	}
	if _, err := s.do(ctx, sid, command{Verb: finish, By: p, Text: "deleted"}); err != nil && fault.CodeOf(err) != fault.SessionClosed {
		return err
	}
	if err := s.conn.Erase(ctx, broker.Sessions, broker.SessionLog(sid)); err != nil {
		return err
	}
	for _, key := range []string{listKey(info), queuePrefix + id, recordPrefix + id} {
		if err := s.records.Purge(ctx, key); err != nil {
			return unreachable(err)
		}
	}
	if err := s.conn.NATS().Publish(string(broker.SessionDeleted(sid)), nil); err != nil {
		return unreachable(err)
	}
	return h.engine.Sync()
}

// Type tells the others that somebody began or stopped to type. It may get lost.
func (h *Hub) Type(ctx context.Context, p Principal, id, origin string, active bool) error {
	s, sid, err := h.owned(ctx, p, id)
	if err != nil {
		return err
	}
	e := Event{Kind: Typing, Time: now(), Role: User, From: p.User, Origin: origin, Active: active}
	if p.Operator {
		e.Role = Operator
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	nc := s.conn.NATS()
	return errors.Join(nc.Publish(string(broker.SessionTyping(sid)), data), nc.Publish(string(broker.SessionControl(sid)), data))
}

// Feedback passes on what a user thinks of an answer to the tenant's services; it is not part of the log. data is JSON.
func (h *Hub) Feedback(ctx context.Context, p Principal, id string, data []byte) error {
	s, sid, err := h.owned(ctx, p, id)
	if err != nil {
		return err
	}
	return s.conn.NATS().Publish(string(broker.SessionFeedback(sid)), data)
}

// owned returns the space of a session that the principal may use.
func (h *Hub) owned(ctx context.Context, p Principal, id string) (*space, broker.Token, error) {
	s, sid, err := h.enter(ctx, p, id)
	if err != nil {
		return nil, "", err
	}
	info, err := s.info(ctx, sid)
	if err == nil && !p.mayUse(info) {
		err = noSession(id)
	}
	return s, sid, err
}

// now is the time that events carry.
func now() time.Time { return stamp(time.Now()) }

// stamp is a moment as the log has it.
func stamp(at time.Time) time.Time { return at.UTC().Truncate(time.Millisecond) }
