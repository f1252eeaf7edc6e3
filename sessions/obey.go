package sessions

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"parley/internal/fault"
)

const (
	// maxPending bounds the messages of one session that wait for an answer.
	maxPending = 16
	// seenIDs is how many of the newest ids a repetition is looked for among.
	seenIDs = 8
)

// obey carries a command out.
func (w *writer) obey(c *command) (result, error) {
	if !c.By.mayUse(w.info) {
		return result{}, noSession(string(w.id))
	}
	if c.Verb == attend {
		return result{}, nil
	}
	if w.fold.state.Closed {
		return result{}, fault.New(fault.SessionClosed, "The session is closed.")
	}
	if w.fold.index == 0 {
		if err := w.append(&Event{Kind: Created, From: w.info.User, Time: w.info.Created}, w.fold.state.clone()); err != nil {
			return result{}, err
		}
	}
	switch c.Verb {
	case say:
		return w.say(c)
	case stop:
		return result{}, w.stop(c.Run)
	case escalate:
		return result{}, w.escalate(c)
	case claim:
		return result{}, w.claim(c)
	case release:
		return result{}, w.release(c)
	case finish:
		return result{}, w.finish(c)
	case attend, inform:
	}
	return result{}, fault.New(fault.InvalidFormat, "There is no verb %q.", c.Verb)
}

// say stores what a user or an operator says.
func (w *writer) say(c *command) (result, error) {
	state, u := w.fold.state.clone(), c.Say
	e := &Event{Kind: Said, ID: u.ID, Reply: u.Reply, Role: c.Role, From: c.By.User, Text: u.Text, Metadata: u.Metadata, Origin: u.Origin, Claims: c.By.Claims}
	if u.ID != "" && slices.Contains(state.Seen, u.ID) {
		return result{e, true}, nil
	}
	if u.ID == "" {
		e.ID = uuid.Must(uuid.NewV7()).String()
	} else {
		state.Seen = append(state.Seen, u.ID)
		state.Seen = state.Seen[max(0, len(state.Seen)-seenIDs):]
	}
	switch {
	case c.Role == Operator && (state.Mode != ByHuman || state.Operator != c.By.User):
		return result{}, fault.New(fault.PermissionDenied, "Only the operator who has claimed the session replies in it.").WithFix("Claim it first.")
	case c.Role == User:
		e.From = w.info.User
		if state.Mode == ByHuman {
			break
		}
		if len(state.Pending) >= maxPending {
			return result{}, fault.New(fault.LimitExceeded, "%d messages wait for an answer already.", maxPending)
		}
		if err := w.beginRun(); err != nil {
			return result{}, err
		}
		state.Pending = append(state.Pending, Pending{Run: e.ID, Reply: e.Reply, Trace: u.Trace})
	}
	state.Messages++
	if err := w.appendTraced(e, state, u.Trace); err != nil {
		return result{}, err
	}
	return result{e, false}, nil
}

// stop ends the answer to a message, or the one that is running or comes next.
func (w *writer) stop(run string) error {
	pending := w.fold.state.Pending
	if len(pending) == 0 || run != "" && run != pending[0].Run {
		return w.unqueue(run)
	}
	w.tellWorker()
	return w.end(Stopped, &Event{}, 0)
}

// unqueue takes a message that is not being answered yet out of those that wait.
func (w *writer) unqueue(run string) error {
	state := w.fold.state.clone()
	i := slices.IndexFunc(state.Pending, func(p Pending) bool { return p.Run == run })
	if run == "" || i < 0 {
		return nil
	}
	e := &Event{Kind: Ended, Run: run, Reply: state.Pending[i].Reply, Role: Assistant, Status: Stopped}
	state.Pending = slices.Delete(state.Pending, i, i+1)
	return w.append(e, state)
}

// end ends the answer to the message whose turn it is, also one that never began. e brings what the end is to say.
func (w *writer) end(status Status, e *Event, drop int) error {
	state := w.fold.state.clone()
	head := state.Pending[0]
	e.Kind, e.Status, e.Role, e.Run, e.Reply = Ended, status, Assistant, head.Run, head.Reply
	if a := state.Answer; a != nil {
		e.ID, e.From, e.Text = a.ID, a.Worker, string(w.fold.text)
		state.Answer = nil
		state.Messages++
	}
	state.Pending = state.Pending[1:]
	if drop > 0 {
		state.Pending = nil
	}
	w.attempt = nil
	if err := w.appendTraced(e, state, w.span.Traceparent()); err != nil {
		return err
	}
	w.traceEnd(e)
	w.countEnd(e)
	return nil
}

// escalate puts the session among those that wait for a human.
func (w *writer) escalate(c *command) error {
	state := w.fold.state.clone()
	if state.Mode != ByAI {
		return nil
	}
	state.Mode = Waiting
	if err := w.append(&Event{Kind: Escalated, From: c.By.User, Role: User, Text: c.Text}, state); err != nil {
		return err
	}
	w.space.hub.counts.handoffs.Inc(handoffAsked)
	return w.enqueue()
}

// enqueue makes the session findable for operators.
func (w *writer) enqueue() error {
	ctx, cancel := context.WithTimeout(w.space.life, openWithin)
	defer cancel()
	if _, err := w.space.records.PutString(ctx, queuePrefix+string(w.id), w.fold.time.Format(time.RFC3339Nano)); err != nil {
		return unreachable(err)
	}
	w.space.hub.waiting.begin(ctx, waitingKey(w.space.account, w.id), w.fold.time)
	return nil
}

func (w *writer) dequeue() {
	ctx, cancel := context.WithTimeout(w.space.life, openWithin)
	defer cancel()
	if err := w.space.records.Purge(ctx, queuePrefix+string(w.id)); err != nil {
		w.space.hub.log.Warn("a session stays in the queue, which leaves it out when it is asked", "session", w.id, "err", err)
	}
	w.space.hub.waiting.end(ctx, waitingKey(w.space.account, w.id))
}

// claim gives the session to an operator.
func (w *writer) claim(c *command) error {
	switch state := w.fold.state; {
	case !c.By.Operator || c.By.User == "":
		return fault.New(fault.PermissionDenied, "Only an operator with a name takes a session over.")
	case state.Mode == ByHuman && state.Operator == c.By.User:
		return nil
	case state.Mode == ByHuman:
		return fault.New(fault.AlreadyExists, "The operator %q has the session.", state.Operator)
	}
	if err := w.interrupt(); err != nil {
		return err
	}
	state := w.fold.state.clone()
	waited := state.Mode == Waiting
	state.Mode, state.Operator = ByHuman, c.By.User
	state.Epoch++
	if err := w.append(&Event{Kind: Claimed, From: c.By.User, Role: Operator}, state); err != nil {
		return err
	}
	w.space.hub.counts.handoffs.Inc(handoffClaimed)
	if waited {
		w.countWait()
		w.dequeue()
	}
	return nil
}

// interrupt ends the running answer and gives up those that wait.
func (w *writer) interrupt() error {
	if len(w.fold.state.Pending) == 0 {
		return nil
	}
	w.tellWorker()
	return w.end(Interrupted, &Event{}, len(w.fold.state.Pending))
}

// release hands the session back to the AI.
func (w *writer) release(c *command) error {
	state := w.fold.state.clone()
	if !c.By.Operator {
		return fault.New(fault.PermissionDenied, "Only an operator hands a session back.")
	}
	if state.Mode == ByAI {
		return nil
	}
	waited := state.Mode == Waiting
	state.Mode, state.Operator = ByAI, ""
	state.Epoch++
	if err := w.append(&Event{Kind: Released, From: c.By.User, Role: Operator}, state); err != nil {
		return err
	}
	w.space.hub.counts.handoffs.Inc(handoffReleased)
	if waited {
		w.dequeue()
	}
	return nil
}

// finish closes the session.
func (w *writer) finish(c *command) error {
	if err := w.interrupt(); err != nil {
		return err
	}
	state := w.fold.state.clone()
	waited := state.Mode == Waiting
	state.Closed, state.Mode, state.Operator = true, ByAI, ""
	state.Epoch++
	if err := w.append(&Event{Kind: Closed, From: c.By.User, Text: c.Text}, state); err != nil {
		return err
	}
	if waited {
		w.dequeue()
	}
	return nil
}
