package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Request is a message that waits for an answer, with what a worker may know of the user. Requests are shared with the
// SDK: handlers don't change them.
type Request struct {
	Session string `json:"session"`
	Run     string `json:"run"`     // names what is asked; the same in every attempt
	Attempt int    `json:"attempt"` // 1, and more when workers died or gave up before
	Epoch   uint64 `json:"epoch"`   // of the session's ownership
	Queue   string `json:"queue"`

	ReplyTo string `json:"reply_to"` // where everything about the answer is published
	Control string `json:"control"`  // where the worker is told to stop

	User     string          `json:"user"`
	Text     string          `json:"text"`              // what wants an answer
	Metadata json.RawMessage `json:"metadata,omitzero"` // what the client sent along with it; nil, or an object
	About    json.RawMessage `json:"about,omitzero"`    // what the session was made with; nil, or an object
	Claims   json.RawMessage `json:"claims,omitzero"`   // of the user's token; nil, or an object
	History  []Turn          `json:"history"`           // the newest of the conversation, oldest first; the last one is Text
	Partial  string          `json:"partial,omitzero"`  // what an attempt that broke off has said already; see Config.Continue
	Deadline time.Time       `json:"deadline"`          // after it nobody waits any more. Zero means a quarter of an hour.
}

// Turn is one contribution to a conversation.
type Turn struct {
	ID       string          `json:"id,omitzero"`
	Role     string          `json:"role"` // user, assistant, or operator: a human who had taken over
	Text     string          `json:"text"`
	Time     time.Time       `json:"time"`
	Metadata json.RawMessage `json:"metadata,omitzero"` // what the client sent along with it
}

// longestRun bounds an answer whose request does not.
const longestRun = 15 * time.Minute

// parseRequest reads a request. Unknown fields are left for the workers of the future.
func parseRequest(b []byte) (*Request, error) {
	var r Request
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("read a request: %w", err)
	}
	switch {
	case r.Session == "" || r.Run == "" || r.Attempt < 1:
		return nil, errors.New("read a request: session, run or attempt is missing")
	case !plainSubject(r.ReplyTo) || !plainSubject(r.Control):
		return nil, errors.New("read a request: reply_to or control is no subject")
	}
	if r.Deadline.IsZero() {
		r.Deadline = time.Now().Add(longestRun)
	}
	return &r, nil
}

// plainSubject reports whether one can publish on s.
func plainSubject(s string) bool { return s != "" && !strings.ContainsAny(s, " \t\r\n*>") }
