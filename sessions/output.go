package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"parley/broker"
	"parley/internal/fault"
	"parley/internal/rawjson"
)

// output is what a worker sends. docs/workers.md describes it.
type output struct {
	Run     string
	Attempt int
	Epoch   uint64
	N       uint64 // 1, 2, 3 … in an attempt; 0 for a heartbeat
	Type    string

	Worker    string // accept
	Continue  bool   // accept: goes on behind Request.Partial
	Text      string // chunk
	Tool      string // tool_call, tool_result
	CallID    string
	Arguments json.RawMessage
	Result    json.RawMessage
	Questions []string   // follow_ups
	Usage     *Usage     // end
	Code      fault.Code // error
	Message   string     // error: for the user
	Retry     bool       // error: another worker may do better

	sender
}

// sender is who has sent a message.
type sender struct {
	space *space // whose worker it is
	inbox string // where the worker wants its answer, "" for nowhere
}

const (
	// maxOutputText bounds what one event of the log holds of an answer.
	maxOutputText = 64 << 10
	// maxAnswer bounds an answer, as it is laid out in the log: its end has to fit into one message of the store.
	maxAnswer = 384 << 10
	// maxFollowUps bounds what an answer's end says beside it.
	maxFollowUps = 16
	// maxExtra bounds the arguments and the result of a tool, and a worker's questions.
	maxExtra = 64 << 10
)

// runs takes what workers send where no other node can write sessions.
type runs struct {
	space  *space
	output output // what is being taken
}

// Take implements broker.Taker.
func (r *runs) Take(m *broker.Arrival) {
	s, o := r.space, &r.output
	id, ok := broker.RunSession(m.Subject)
	if !ok {
		return
	}
	s.mu.Lock()
	w := s.writers[broker.Token(id)]
	s.mu.Unlock()
	var manner *manner
	if w != nil {
		manner = &w.manner
	}
	*o = output{}
	if s.readOutput(o, m.Reply, m.Data, manner) != nil || w != nil && w.passes(o) {
		return
	}
	kept := *o
	if w != nil && w.take(call{output: &kept}) {
		return
	}
	if id, err := broker.ParseToken(string(id)); err == nil {
		s.writeOutput(id, &kept)
	}
}

// Pause implements broker.Taker.
func (r *runs) Pause() {}

// takeOutput takes what a worker has sent to any node of the group.
func (s *space) takeOutput(m *nats.Msg) {
	id, _, ok := broker.Subject(m.Subject).Session()
	if !ok {
		return
	}
	o := new(output)
	err := s.readOutput(o, []byte(m.Reply), m.Data, nil)
	if err != nil || s.submit(id, call{output: o}) || s.forward(id, m) {
		return
	}
	s.writeOutput(id, o)
}

func (s *space) writeOutput(id broker.Token, o *output) {
	if err := s.write(id, call{output: o}); err != nil {
		o.refuse(err)
	}
}

// manner is what a worker says in every message, nearly always the same.
type manner struct{ run, inbox string }

// readOutput reads a worker's message into o, which is empty. One that is none is answered. Strings are shared with manner,
// which is kept up to date unless it is nil.
func (s *space) readOutput(o *output, inbox, data []byte, manner *manner) error {
	o.space = s
	if manner == nil || string(inbox) != manner.inbox {
		o.inbox = string(inbox)
	} else {
		o.inbox = manner.inbox
	}
	if err := o.decode(data, manner); err != nil {
		err = fault.Wrap(fault.InvalidFormat, err, "This is no message of a worker: %s.", err)
		o.refuse(err)
		return err
	}
	if manner != nil {
		manner.run, manner.inbox = o.Run, o.inbox
	}
	return nil
}

// takeForwarded takes what a worker has sent to another node.
func (s *space) takeForwarded(m *nats.Msg) {
	id, _, ok := broker.Subject(m.Subject[len(broker.GatewayRoot):]).Session()
	if !ok {
		return
	}
	o := new(output)
	if s.readOutput(o, []byte(m.Reply), m.Data, nil) == nil && !s.submit(id, call{output: o}) {
		o.refuse(fault.New(fault.Unavailable, "The session is moving to another node."))
	}
}

// remoteFor is how long a node relies on having found another one that writes a session.
const remoteFor = time.Second

// forward passes a worker's message to the node that writes the session, if there is another one. That is asked
// before the first of many, because what is forwarded is answered to the worker directly.
func (s *space) forward(id broker.Token, m *nats.Msg) bool {
	if !s.hub.engine.Clustered() {
		return false
	}
	s.mu.Lock()
	known := time.Since(s.remote[id]) < remoteFor
	s.mu.Unlock()
	if !known {
		ctx, cancel := context.WithTimeout(s.life, openWithin)
		_, err := s.ask(ctx, id, command{Verb: attend, By: Principal{Operator: true}})
		cancel()
		if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, errMoved) {
			return false
		}
		s.mu.Lock()
		if len(s.remote) > maxRemote {
			clear(s.remote)
		}
		s.remote[id] = time.Now()
		s.mu.Unlock()
	}
	return s.conn.NATS().PublishRequest(string(broker.SessionForward(id)), m.Reply, m.Data) == nil
}

// maxRemote bounds what a node remembers of the others.
const maxRemote = 10_000

// outputReply is how a worker is answered.
type outputReply struct {
	OK    bool     `json:"ok"`
	N     uint64   `json:"n"` // everything up to here is in the log
	Error *Problem `json:"error,omitzero"`
}

// answer tells the worker, if it wants to know. One that wants the answer elsewhere than in an inbox could have the broker
// write what it may not write itself.
func (s sender) answer(r outputReply) {
	if !broker.MayAnswer(s.inbox) {
		return
	}
	_ = s.space.link.Publish(broker.Departure{Subject: broker.Subject(s.inbox), Data: r.encode()}) // it asks again for what gets lost
}

// encode lays an answer out.
func (r outputReply) encode() []byte {
	if r.Error == nil {
		return append(strconv.AppendUint(append(strconv.AppendBool([]byte(`{"ok":`), r.OK), `,"n":`...), r.N, 10), '}')
	}
	data, err := json.Marshal(r)
	if err != nil {
		return nil // it can always be laid out
	}
	return data
}

func (s sender) refuse(err error) {
	if errors.Is(err, errMoved) {
		err = fault.New(fault.Unavailable, "The session is moving to another node.")
	}
	s.answer(outputReply{Error: &Problem{fault.CodeOf(err), fault.Message(err)}})
}

// gather takes the chunks that wait behind one, so that they are stored as one event.
func (w *writer) gather(first *output) []*output {
	all, size := []*output{first}, len(first.Text)
	for first.Type == "chunk" && size < maxOutputText {
		c, ok := w.pop()
		if !ok {
			break
		}
		if o := c.output; o.follows(all[len(all)-1]) {
			all, size = append(all, o), size+len(o.Text)
		} else {
			w.unpop(c)
			return all
		}
	}
	return w.slow(all, size)
}

// takeOutputs puts what a worker has sent into the log: one message, or chunks that follow each other.
func (w *writer) takeOutputs(all []*output) {
	newest := all[len(all)-1]
	if newest.Run == w.ended.run && newest.N <= w.ended.n { // the answer to it was lost
		newest.answer(outputReply{OK: true, N: w.ended.n})
		return
	}
	if err := w.judge(newest); err != nil {
		newest.refuse(err)
		return
	}
	a, now := w.attempt, time.Now()
	a.heard = now
	for len(all) > 0 && all[0].N <= a.n { // was taken before, or is a heartbeat
		all = all[1:]
	}
	if len(all) > 0 && all[0].N != a.n+1 {
		if w.reread() {
			w.takeOutputs(all)
			return
		}
		newest.answer(outputReply{N: w.logged(), Error: &Problem{fault.OutOfOrder, "A message before this one is missing."}})
		return
	}
	if len(all) > 0 {
		if err := w.record(all); err != nil {
			newest.refuse(err)
			return
		}
		if newest.Type == "chunk" {
			w.owed.add(newest.sender, w.logged(), len(all), now)
			return
		}
	}
	w.owed.pay()
	n := w.logged()
	if w.ended.run == newest.Run {
		n = w.ended.n
	}
	newest.answer(outputReply{OK: true, N: n})
}

// logged is the number up to which the log has what the worker of this attempt has sent.
func (w *writer) logged() uint64 {
	if w.attempt == nil || w.attempt.worker == "" {
		return 0
	}
	return w.fold.n
}

// judge refuses what nobody waits for.
func (w *writer) judge(o *output) error {
	switch a := w.attempt; {
	case a == nil || o.Run != a.run || o.Attempt != a.number || o.Epoch != w.fold.state.Epoch:
	case o.Type == "accept" && a.worker != "" && a.worker != o.Worker:
	case o.Type != "accept" && a.worker == "":
	default:
		return nil
	}
	return fault.New(fault.Gone, "Nobody waits for this answer any more.")
}

// record puts a worker's message, or chunks that follow each other, into the log.
func (w *writer) record(all []*output) (err error) {
	a, o := w.attempt, all[len(all)-1]
	switch o.Type {
	case "accept":
		err = w.accept(o)
	case "chunk":
		e := w.chunk(all)
		w.scratch = rawjson.AppendString(w.scratch[:0], e.Text)
		if w.laidOut += len(w.scratch); w.laidOut > maxAnswer {
			w.tellWorker()
			w.fail(fault.WorkerFailed, "The answer is too long.")
			return w.broken
		}
		if e.Text != "" {
			w.countFirst(a.heard)
			err = w.append(&e, nil)
		}
	case "tool_call", "tool_result":
		if len(o.Tool)+len(o.CallID)+len(o.Arguments)+len(o.Result) > maxExtra {
			return fault.New(fault.MessageTooLarge, "What a tool is given and returns has at most %d bytes.", maxExtra)
		}
		e := &Event{Kind: ToolCall, ID: w.fold.answer.ID, Run: a.run, N: o.N, Tool: &Tool{CallID: o.CallID, Name: o.Tool, Arguments: o.Arguments, Result: o.Result}}
		if o.Type == "tool_result" {
			e.Kind = ToolResult
		}
		err = w.append(e, w.fold.state.clone())
	case "follow_ups":
		size := 0
		for _, q := range o.Questions {
			size += len(q)
		}
		if len(o.Questions) > maxFollowUps || size > maxExtra/8 {
			return fault.New(fault.MessageTooLarge, "An answer is followed by at most %d questions of %d bytes in all.", maxFollowUps, maxExtra/8)
		}
		a.followUp = o.Questions
	case "end":
		err = w.end(Complete, &Event{N: o.N, FollowUps: a.followUp, Usage: o.Usage}, 0)
	case "error":
		if o.Retry && a.number < maxAttempts {
			w.again()
			return w.broken
		}
		w.fail(fault.WorkerFailed, o.excuse())
		err = w.broken
	default:
		return fault.New(fault.InvalidFormat, "A worker sends no %q.", o.Type)
	}
	if err == nil {
		a.n = o.N
	}
	if err == nil && w.attempt != a {
		w.ended = ending{a.run, o.N}
	}
	return err
}

// ending is how a worker has ended its part in an answer, kept in case it has to be told once more.
type ending struct {
	run string
	n   uint64
}

// excuse is what a user is told of a worker's error.
func (o *output) excuse() string {
	if o.Message == "" || len(o.Message) > 1<<10 {
		return "The answer could not be given."
	}
	return o.Message
}

// accept gives the message whose turn it is to a worker.
func (w *writer) accept(o *output) error {
	state, a := w.fold.state.clone(), w.attempt
	head := &state.Pending[0]
	if state.Answer != nil && !o.Continue {
		// The broken answer ends with what there is of it; the message stays where it is.
		e := &Event{Kind: Ended, ID: state.Answer.ID, Run: head.Run, Reply: head.Reply, Role: Assistant, From: state.Answer.Worker, Text: string(w.fold.text), Status: Interrupted}
		state.Answer = nil
		state.Messages++
		if err := w.append(e, state); err != nil {
			return err
		}
		state = w.fold.state.clone()
		head = &state.Pending[0]
	}
	e := &Event{Kind: Resumed, Run: head.Run, Reply: head.Reply, Role: Assistant, From: o.Worker, N: o.N}
	if state.Answer == nil {
		e.Kind, e.ID = Started, uuid.Must(uuid.NewV7()).String()
		state.Answer = &Running{ID: e.ID, Run: head.Run}
	} else {
		e.ID = state.Answer.ID
	}
	head.Attempt, state.Answer.Worker = a.number, o.Worker
	w.laidOut = len(rawjson.AppendString(nil, string(w.fold.text)))
	if err := w.append(e, state); err != nil {
		return err
	}
	a.worker, a.since, a.heard = o.Worker, time.Now(), time.Now()
	return nil
}
