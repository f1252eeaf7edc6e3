package sessions

import (
	"encoding/json"
	"time"

	"parley/internal/fault"
)

// Kind says what an Event is.
type Kind string

// The kinds. All but Typing are in the log.
const (
	Created    Kind = "created"     // the session exists; From is its user
	Said       Kind = "message"     // a person said something: Role is User or Operator
	Started    Kind = "start"       // an answer of the AI begins; ID is the answer's
	Resumed    Kind = "resumed"     // another worker goes on with the answer
	Chunk      Kind = "chunk"       // a piece of the running answer; kept for a short time only
	ToolCall   Kind = "tool_call"   // the AI uses a tool
	ToolResult Kind = "tool_result" // and what came of it
	Ended      Kind = "end"         // the answer is over, Text is all of it; without a Started before it, none was ever begun
	Escalated  Kind = "escalated"   // the user wants a human; Text is why
	Claimed    Kind = "claimed"     // an operator, From, has taken over
	Released   Kind = "released"    // and handed back to the AI
	Closed     Kind = "closed"      // nothing more will be said; Text is why
	Typing     Kind = "typing"      // From began or stopped to type; Index is 0
)

// Role says on whose side somebody speaks.
type Role string

// The roles.
const (
	User      Role = "user"
	Assistant Role = "assistant"
	Operator  Role = "operator"
)

// Status says how an answer ended.
type Status string

// The statuses.
const (
	Complete    Status = "complete"
	Stopped     Status = "stopped"     // by the user
	Interrupted Status = "interrupted" // its worker died or a human took over; Text is what there was
	Failed      Status = "failed"      // Error says why
)

// Event is one entry of a session's log. Which fields are set depends on the Kind. What an Event points to is
// shared: nobody changes it.
type Event struct {
	Index uint64    `json:"index"`            // 1, 2, 3 … without a gap; 0 for Typing
	Time  time.Time `json:"time"`             // when the writer took it, UTC
	Kind  Kind      `json:"kind"`             // what has happened
	ID    string    `json:"id,omitzero"`      // of what was said, or of the answer that this belongs to: a UUIDv7 unless the client gave one
	Run   string    `json:"run,omitzero"`     // Started to Ended: the ID of the message that is answered
	Reply string    `json:"request,omitzero"` // the client's own name for that message (assistant: request_id), on Said, Started and Ended
	Role  Role      `json:"role,omitzero"`    // Said, Started, Ended, Typing
	From  string    `json:"from,omitzero"`    // who: user, operator or worker

	Text     string          `json:"text,omitzero"`     // see Kind
	Offset   int             `json:"offset,omitzero"`   // Chunk: where in the answer Text begins, in bytes
	Start    uint64          `json:"start,omitzero"`    // Chunk: where in the stream the answer's Started is
	N        uint64          `json:"n,omitzero"`        // what comes from a worker: the number of its newest message in this event
	Metadata json.RawMessage `json:"metadata,omitzero"` // Said: what the client sent along
	Claims   json.RawMessage `json:"claims,omitzero"`   // Said: what the credential says of the user, for workers
	Origin   string          `json:"origin,omitzero"`   // Said, Typing: names the connection it came from, so that it need not get its own words back

	Tool      *Tool    `json:"tool,omitzero"`       // ToolCall, ToolResult
	FollowUps []string `json:"follow_ups,omitzero"` // Ended: what the user may want to ask next
	Status    Status   `json:"status,omitzero"`     // Ended
	Error     *Problem `json:"error,omitzero"`      // Ended with Failed
	Usage     *Usage   `json:"usage,omitzero"`      // Ended: what the model counted
	Active    bool     `json:"active,omitzero"`     // Typing: began, else stopped

	State *State `json:"state,omitzero"` // what holds after this event; nil for Chunk and Typing
}

// Tool is one use of a tool by the AI.
type Tool struct {
	CallID    string          `json:"call_id,omitzero"`   // names the call within the answer
	Name      string          `json:"name"`               // of the tool
	Arguments json.RawMessage `json:"arguments,omitzero"` // JSON, as the model gave them
	Result    json.RawMessage `json:"result,omitzero"`    // ToolResult
}

// Problem is why an answer failed, in words that a user may read.
type Problem struct {
	Code    fault.Code `json:"code"`    // of the list in docs/errors.md
	Message string     `json:"message"` // for people
}

// Usage counts tokens as the model's provider does.
type Usage struct {
	Input  int `json:"input_tokens"`  // tokens that the model has read
	Output int `json:"output_tokens"` // tokens that the model has written
}
