package bots

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/channels"
	"parley/frontends/conversation"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/rawjson"
	"parley/sessions"
)

// encoder writes a session in the frames of this dialect. What came from the connection itself is not told to it.
type encoder struct {
	origin   string // of the connection
	session  string
	progress conversation.Progress
}

var _ conversation.Encoder = (*encoder)(nil)

// Begin implements conversation.Encoder.
func (c *encoder) Begin(dst []byte, s sessions.Snapshot) []byte {
	c.session = s.Info.ID
	if s.Answer != nil {
		c.progress.Resume(s.Answer)
		dst = c.start(dst, s.Answer.ID)
		dst = c.chunk(dst, s.Answer.ID, s.Answer.Text)
	}
	if s.State.Closed {
		dst = c.closed(dst, "closed")
	}
	return dst
}

// Event implements conversation.Encoder.
func (c *encoder) Event(dst []byte, e *sessions.Event) []byte {
	switch e.Kind {
	case sessions.Said:
		return c.said(dst, e)
	case sessions.Typing:
		return c.typing(dst, e)
	case sessions.Started:
		c.progress.Start(e)
		return c.start(dst, e.ID)
	case sessions.Chunk:
		return c.chunk(dst, e.ID, c.progress.Piece(e))
	case sessions.ToolCall, sessions.ToolResult:
		return c.tool(dst, e)
	case sessions.Ended:
		return c.ended(dst, e)
	case sessions.Closed:
		return c.closed(dst, e.Text)
	default:
		return dst
	}
}

// said writes what is not streamed: what the user typed on another socket, and what a human answers. The latter has the
// role of the assistant, as the document knows no other on that side.
func (c *encoder) said(dst []byte, e *sessions.Event) []byte {
	if e.Origin != "" && e.Origin == c.origin {
		return dst
	}
	m := struct {
		Type     string         `json:"type"`
		Session  string         `json:"session_id"`
		ID       string         `json:"message_id"`
		Role     sessions.Role  `json:"role"`
		Content  string         `json:"content"`
		Time     string         `json:"timestamp"`
		Metadata jsontext.Value `json:"metadata,omitzero"`    // not in the document
		Sender   sessions.Role  `json:"sender_role,omitzero"` // not in the document
	}{
		Type: "message", Session: c.session, ID: e.ID, Role: e.Role, Content: e.Text, Time: channels.FormatTime(e.Time),
		Metadata: jsontext.Value(e.Metadata),
	}
	if e.Role == sessions.Operator {
		m.Role, m.Sender = sessions.Assistant, e.Role
	}
	return appendFrame(dst, m)
}

// typing passes on that somebody types, unless it is the client itself.
func (c *encoder) typing(dst []byte, e *sessions.Event) []byte {
	switch {
	case e.Origin != "" && e.Origin == c.origin:
		return dst
	case e.Role != sessions.User:
		return c.botTyping(dst, e.Active)
	case e.Active:
		return c.about(dst, "typing_start")
	}
	return c.about(dst, "typing_stop")
}

func (c *encoder) about(dst []byte, kind string) []byte {
	return appendFrame(dst, struct {
		Type    string `json:"type"`
		Session string `json:"session_id"`
	}{kind, c.session})
}

func (c *encoder) botTyping(dst []byte, active bool) []byte {
	return appendFrame(dst, struct {
		Type    string `json:"type"`
		Session string `json:"session_id"`
		Typing  bool   `json:"is_typing"`
	}{"bot_typing", c.session, active})
}

func (c *encoder) start(dst []byte, id string) []byte {
	dst = c.botTyping(dst, true)
	return appendFrame(dst, struct {
		Type    string `json:"type"`
		Session string `json:"session_id"`
		ID      string `json:"message_id"`
	}{"stream_start", c.session, id})
}

// chunk writes a piece of an answer, by far the most frequent frame, and nothing for no text.
func (c *encoder) chunk(dst []byte, id, text string) []byte {
	if text == "" {
		return dst
	}
	return ws.AppendTextFunc(dst, func(b []byte) []byte {
		b = rawjson.AppendString(append(b, `{"type":"stream_chunk","message_id":`...), id)
		b = rawjson.AppendString(append(b, `,"content":`...), text)
		b = rawjson.AppendString(append(b, `,"session_id":`...), c.session) // not in the document
		return append(b, '}')
	})
}

func (c *encoder) tool(dst []byte, e *sessions.Event) []byte {
	if e.Tool == nil {
		return dst
	}
	m := struct {
		Type      string         `json:"type"`
		Session   string         `json:"session_id"`
		Tool      string         `json:"tool"`
		Arguments jsontext.Value `json:"arguments,omitzero"`
		Result    jsontext.Value `json:"result,omitzero"`
		CallID    string         `json:"call_id,omitzero"`    // not in the document
		ID        string         `json:"message_id,omitzero"` // not in the document
	}{Type: string(e.Kind), Session: c.session, Tool: e.Tool.Name, CallID: e.Tool.CallID, ID: e.ID}
	if e.Kind == sessions.ToolCall {
		m.Arguments = orNull(jsontext.Value(e.Tool.Arguments))
	} else {
		m.Result = orNull(jsontext.Value(e.Tool.Result))
	}
	return appendFrame(dst, m)
}

func orNull(v jsontext.Value) jsontext.Value {
	if len(v) == 0 {
		return jsontext.Value("null")
	}
	return v
}

func (c *encoder) ended(dst []byte, e *sessions.Event) []byte {
	rest, begun := c.progress.End(e)
	if begun {
		dst = c.chunk(dst, e.ID, rest)
		m := struct {
			Type      string          `json:"type"`
			ID        string          `json:"message_id"`
			Content   string          `json:"content"`
			Session   string          `json:"session_id"`                   // not in the document, nor what follows
			Status    sessions.Status `json:"status,omitzero"`              // of an answer that is not complete
			FollowUps []string        `json:"follow_up_questions,omitzero"` // what the user may want to ask next
		}{"stream_end", e.ID, e.Text, c.session, "", e.FollowUps}
		if e.Status != sessions.Complete {
			m.Status = e.Status
		}
		dst = appendFrame(dst, m)
		dst = c.botTyping(dst, false)
	}
	if e.Error != nil {
		f := errorFrame(e.Time, fault.New(e.Error.Code, "%s", e.Error.Message))
		f.Session, f.ID = c.session, e.Run
		dst = appendFrame(dst, f)
	}
	return dst
}

func (c *encoder) closed(dst []byte, reason string) []byte {
	return appendFrame(dst, closedFrame(c.session, reason))
}

// closedFrame says that nothing more will be said in a session.
func closedFrame(session, reason string) any {
	return struct {
		Type    string `json:"type"`
		Session string `json:"session_id"`
		Reason  string `json:"reason"`
	}{"session_closed", session, reason}
}

// failure is the document's error frame.
type failure struct {
	Type    string     `json:"type"`
	Code    fault.Code `json:"code"`
	Message string     `json:"message"`
	Fix     string     `json:"fix,omitzero"`        // not in the document, nor what follows
	Session string     `json:"session_id,omitzero"` // that the frame was about
	ID      string     `json:"message_id,omitzero"` // of the message that was refused or could not be answered
	Time    string     `json:"timestamp"`
}

func errorFrame(at time.Time, err error) failure {
	return failure{Type: "error", Code: codeOf(err), Message: fault.Message(err), Fix: fault.Fix(err), Time: channels.FormatTime(at)}
}

// appendFrame appends v as one WebSocket frame.
func appendFrame(dst []byte, v any) []byte { return ws.AppendText(dst, encode(v)) }

func encode(v any) []byte {
	b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(err) // unreachable: what is encoded here always marshals
	}
	return b
}
