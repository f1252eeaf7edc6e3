package worker

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// Rehearsal lets a Handler answer where nobody listens, so that it can be tested without a broker.
type Rehearsal struct {
	Request *Request
	// Ask stands in for the services of the tenant. Nil means that there are none.
	Ask func(ctx context.Context, subject string, data []byte) ([]byte, error)
}

// Transcript is what a Handler has said in a Rehearsal.
type Transcript struct {
	Text          string
	Tools         []ToolUse
	FollowUps     []string
	Input, Output int // tokens, as counted by Usage
}

// ToolUse is one use of a tool.
type ToolUse struct {
	CallID, Tool      string
	Arguments, Result json.RawMessage
}

// Run has h answer, and returns what it said and its error.
func (r Rehearsal) Run(ctx context.Context, h Handler) (Transcript, error) {
	a := &Answer{Request: r.Request, box: newOutbox(r.Request, 0), ask: r.Ask}
	if a.ask == nil {
		a.ask = func(context.Context, string, []byte) ([]byte, error) { return nil, errors.New("there are no services") }
	}
	var t Transcript
	heard := make(chan struct{})
	var audience sync.WaitGroup
	audience.Go(func() {
		for open := true; open; {
			select {
			case <-a.box.changed:
			case <-heard:
				open = false
			}
			t.hear(a.box)
		}
	})
	err := h(ctx, a)
	a.end(err)
	close(heard)
	audience.Wait()
	if a.spent != nil {
		t.Input, t.Output = a.spent.Input, a.spent.Output
	}
	return t, err
}

// hear empties the box.
func (t *Transcript) hear(box *outbox) {
	for all := box.take(time.Now()); len(all) > 0; all = box.take(time.Now()) {
		for _, e := range all {
			var m message
			if json.Unmarshal(e.data, &m) == nil { // it was made here
				t.note(m)
			}
			box.confirm(e.n)
		}
	}
}

func (t *Transcript) note(m message) {
	switch m.Type {
	case typeChunk:
		t.Text += m.Text
	case typeToolCall:
		t.Tools = append(t.Tools, ToolUse{CallID: m.CallID, Tool: m.Tool, Arguments: m.Arguments})
	case typeToolResult:
		for i := range t.Tools {
			if t.Tools[i].CallID == m.CallID {
				t.Tools[i].Result = m.Result
			}
		}
	case typeFollowUps:
		t.FollowUps = m.Questions
	}
}
