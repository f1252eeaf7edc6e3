package assistant

import (
	"time"

	"parley/channels"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/rawjson"
	"parley/sessions"
)

// The types of messages. What comes behind the prefix names an assistant, an id; those without it, but ping and pong, are
// extensions.
const (
	typePrefix      = "conversation_with_"
	documentsOwn    = "aileen"
	typePing        = "ping"
	typePong        = "pong"
	typeStop        = "stop"
	typeEscalation  = "human-escalation"
	typeEscalated   = "human-escalation-response"
	typeFeedback    = "feedback"
	typeFeedbackHas = "feedback-confirmation"
	typeAuth        = "auth"
	typeAuthHas     = "auth-confirmation"
	typeExpiring    = "token-expiring"
)

// response is the one frame in which assistants speak.
type response struct {
	kind         string // its type
	conversation string // "" when it is about none
	request      string // "" when it answers none
	delta        string
	finished     bool // the last one of an answer
	followUps    []string
	status       sessions.Status // only on the last one; "" leaves it out
	role         sessions.Role   // "" means the assistant
	problem      error           // what went wrong, nil when nothing did
}

// appendTo appends the frame. A response that is finished without anything to show only ends what the page shows.
func (r response) appendTo(dst []byte) []byte {
	return ws.AppendTextFunc(dst, func(b []byte) []byte { return r.appendJSON(b) })
}

func (r response) appendJSON(b []byte) []byte {
	b = rawjson.AppendString(append(b, `{"type":`...), r.kind)
	b = appendBool(append(b, `,"response":{"is_final":`...), r.finished && r.status != "")
	b = appendNullable(append(b, `,"data":{"meta":{"conversation_id":`...), r.conversation)
	b = append(b, `},"follow_up_questions":`...)
	b = appendList(b, r.followUps)
	b = rawjson.AppendString(append(b, `,"delta":`...), r.delta)
	b = appendBool(append(b, `,"delta_generation_finished":`...), r.finished)
	b = appendNullable(append(b, `},"request_id":`...), r.request)
	if r.status != "" {
		b = rawjson.AppendString(append(b, `,"status":`...), string(r.status))
	}
	if r.role != "" {
		b = rawjson.AppendString(append(b, `,"role":`...), string(r.role))
	}
	if r.problem != nil {
		b = appendProblem(append(b, `,"error":`...), r.problem)
	}
	return append(b, "}}"...)
}

func appendProblem(b []byte, err error) []byte {
	b = rawjson.AppendString(append(b, `{"code":`...), string(fault.CodeOf(err)))
	b = rawjson.AppendString(append(b, `,"message":`...), fault.Message(err))
	if fix := fault.Fix(err); fix != "" {
		b = rawjson.AppendString(append(b, `,"fix":`...), fix)
	}
	return append(b, '}')
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}

// appendNullable appends a string, null for "".
func appendNullable(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return rawjson.AppendString(b, s)
}

// appendList appends a list, null for an empty one.
func appendList(b []byte, list []string) []byte {
	if len(list) == 0 {
		return append(b, "null"...)
	}
	for i, s := range list {
		b = rawjson.AppendString(append(b, "[,"[min(i, 1)]), s) // an opening bracket at first
	}
	return append(b, ']')
}

// pingFrame is the payload of what has to be answered with a pong.
var pingFrame = []byte(`{"type":"ping"}`)

// plainFrame is the answer to an extension.
func plainFrame(kind, conversation, message string) []byte {
	b := rawjson.AppendString([]byte(`{"type":`), kind)
	if conversation != "" {
		b = rawjson.AppendString(append(b, `,"conversation_id":`...), conversation)
	}
	if message != "" {
		b = rawjson.AppendString(append(b, `,"message":`...), message)
	}
	return append(b, '}')
}

// expiryFrame is about the time until which a token is good.
func expiryFrame(kind string, expires time.Time) []byte {
	b := rawjson.AppendString([]byte(`{"type":`), kind)
	return append(rawjson.AppendString(append(b, `,"expires":`...), channels.FormatTime(expires)), '}')
}
