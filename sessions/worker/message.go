package worker

import (
	"encoding/json"
	"fmt"
)

// The types of messages from a worker to a session.
const (
	typeAccept     = "accept"
	typeHeartbeat  = "heartbeat"
	typeChunk      = "chunk"
	typeToolCall   = "tool_call"
	typeToolResult = "tool_result"
	typeFollowUps  = "follow_ups"
	typeEnd        = "end"
	typeError      = "error"
)

// message is what a worker tells a session. Which fields are set depends on the type.
type message struct {
	Run     string `json:"run"`
	Attempt int    `json:"attempt"`
	Epoch   uint64 `json:"epoch"`
	N       uint64 `json:"n,omitempty"` // 1, 2, 3 … in an attempt; a heartbeat has none
	Type    string `json:"type"`

	Worker    string          `json:"worker,omitempty"`   // accept
	Continue  bool            `json:"continue,omitempty"` // accept: the answer goes on after Request.Partial
	Text      string          `json:"text,omitempty"`     // chunk
	Tool      string          `json:"tool,omitempty"`     // tool_call, tool_result
	CallID    string          `json:"call_id,omitempty"`
	Arguments json.RawMessage `json:"arguments,omitempty"` // tool_call
	Result    json.RawMessage `json:"result,omitempty"`    // tool_result
	Questions []string        `json:"questions,omitempty"` // follow_ups
	Usage     *usage          `json:"usage,omitempty"`     // end
	Code      string          `json:"code,omitempty"`      // error
	Message   string          `json:"message,omitempty"`   // error: for the user
	Retry     bool            `json:"retry,omitempty"`     // error: another worker may try
}

type usage struct {
	Input  int `json:"input_tokens"`
	Output int `json:"output_tokens"`
}

// The codes of a session's refusals that are part of the protocol. Every other one ends the attempt.
const (
	codeGone           = "GONE"         // nobody waits for this answer any more
	codeOutOfOrder     = "OUT_OF_ORDER" // something before it is missing
	codeUnavailable    = "UNAVAILABLE"  // this one and the next: not now, to be sent again
	codeDraining       = "DRAINING"
	codeOutcomeUnknown = "OUTCOME_UNKNOWN"
	codeStorageFull    = "STORAGE_FULL"
)

// verdict is what a session says of messages.
type verdict struct {
	OK    bool    `json:"ok"`
	N     uint64  `json:"n"` // everything up to it is in the log
	Error *reason `json:"error"`
}

type reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (r *reason) Error() string { return r.Code + ": " + r.Message }

func parseVerdict(b []byte) (verdict, error) {
	var v verdict
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("read a session's reply: %w", err)
	}
	if !v.OK && v.Error == nil {
		return v, fmt.Errorf("read a session's reply: %.100q says neither yes nor no", b)
	}
	return v, nil
}

// noticeStop is the type of the notice that an answer is to end.
const noticeStop = "stop"

// notice is what a worker is told on the control subject of a session.
type notice struct {
	Type    string `json:"type"`
	Run     string `json:"run"`
	Attempt int    `json:"attempt"`
}

func parseNotice(b []byte) (notice, error) {
	var n notice
	err := json.Unmarshal(b, &n)
	return n, err
}
