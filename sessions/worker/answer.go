package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// What the session takes at most.
const (
	maxDocument  = 60 << 10 // bytes of a tool's arguments or result
	maxQuestions = 16       // that follow an answer
	maxQuestion  = 500      // bytes of one
)

// Handler answers a message. Returning nil ends the answer; an error ends it as failed, see Error. It runs in a goroutine
// of its own, and should return soon after ctx has ended: the user has stopped the answer, nobody waits for it any more,
// or the worker is ending.
type Handler func(ctx context.Context, a *Answer) error

// Answer is what a Handler makes of a Request. Its methods may be called concurrently. They return without waiting for
// the session, unless very much is under way; their error is the cause with which the context has ended, and may be left
// to the context.
type Answer struct {
	Request *Request

	box   *outbox
	ask   asker
	spent *usage // guarded by box.mu
}

// asker asks a service of the tenant.
type asker func(ctx context.Context, subject string, data []byte) ([]byte, error)

// Chunk adds text to the answer. The first is sent at once, later ones wait for one another for Config.Coalesce. A piece
// may end within a character.
func (a *Answer) Chunk(text string) error {
	return a.put(func() (<-chan struct{}, error) { return a.box.putText(text) })
}

// ToolCall shows that a tool is used. callID names the use; arguments are JSON of at most 60 KiB, or nil.
func (a *Answer) ToolCall(callID, tool string, arguments json.RawMessage) error {
	return a.document(&message{Type: typeToolCall, CallID: callID, Tool: tool, Arguments: arguments}, arguments)
}

// ToolResult shows what came of a ToolCall. result is JSON of at most 60 KiB, or nil.
func (a *Answer) ToolResult(callID, tool string, result json.RawMessage) error {
	return a.document(&message{Type: typeToolResult, CallID: callID, Tool: tool, Result: result}, result)
}

func (a *Answer) document(m *message, doc json.RawMessage) error {
	if len(doc) > maxDocument {
		return fmt.Errorf("the arguments and results of tools may have %d bytes, these have %d", maxDocument, len(doc))
	}
	if len(doc) > 0 && !json.Valid(doc) {
		return errors.New("the arguments and results of tools have to be JSON")
	}
	return a.put(func() (<-chan struct{}, error) { return a.box.put(m) })
}

// FollowUps offers what the user may want to ask next: at most 16 questions of at most 500 bytes each. The last call counts.
func (a *Answer) FollowUps(questions ...string) error {
	if len(questions) > maxQuestions || slices.ContainsFunc(questions, func(q string) bool { return len(q) > maxQuestion }) {
		return fmt.Errorf("an answer is followed by at most %d questions of at most %d bytes", maxQuestions, maxQuestion)
	}
	return a.put(func() (<-chan struct{}, error) { return a.box.put(&message{Type: typeFollowUps, Questions: questions}) })
}

// Usage adds to what the model has counted; it is recorded with the end of the answer.
func (a *Answer) Usage(input, output int) {
	a.box.mu.Lock()
	defer a.box.mu.Unlock()
	if a.spent == nil {
		a.spent = &usage{}
	}
	a.spent.Input += input
	a.spent.Output += output
}

// Ask sends a NATS request to a service of the user's tenant and returns its reply. The worker's credentials have to
// allow the subject.
func (a *Answer) Ask(ctx context.Context, subject string, data []byte) ([]byte, error) {
	reply, err := a.ask(ctx, subject, data)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", subject, err)
	}
	return reply, nil
}

// put waits for room.
func (a *Answer) put(put func() (full <-chan struct{}, err error)) error {
	for {
		full, err := put()
		if err != nil || full == nil {
			return err
		}
		<-full
	}
}

// end takes over what the Handler has returned.
func (a *Answer) end(err error) {
	if err != nil {
		a.box.finish(failure(err), errOver)
		return
	}
	a.box.mu.Lock()
	spent := a.spent
	a.box.mu.Unlock()
	a.box.finish(&message{Type: typeEnd, Usage: spent}, errOver)
}
