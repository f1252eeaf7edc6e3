package tenantchat

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

// encoder writes a chat in the frames of this dialect.
type encoder struct {
	chat, user string
	progress   conversation.Progress
}

var _ conversation.Encoder = (*encoder)(nil)

// Begin implements conversation.Encoder.
func (c *encoder) Begin(dst []byte, s sessions.Snapshot) []byte {
	c.chat, c.user = s.Info.ID, s.Info.User
	if s.Answer == nil {
		return dst
	}
	c.progress.Resume(s.Answer)
	dst = c.started(dst, s.Answer.Started, s.Answer.ID)
	return c.token(dst, s.Answer.Started, s.Answer.Text)
}

// Event implements conversation.Encoder.
func (c *encoder) Event(dst []byte, e *sessions.Event) []byte {
	switch e.Kind {
	case sessions.Said:
		if e.Role == sessions.Operator {
			return c.reply(dst, e)
		}
		return c.received(dst, e)
	case sessions.Started:
		c.progress.Start(e)
		return c.started(dst, e.Time, e.ID)
	case sessions.Chunk:
		return c.token(dst, e.Time, c.progress.Piece(e))
	case sessions.Ended:
		return c.ended(dst, e)
	default:
		return dst
	}
}

// message is a frame about one message. Which of the optional members it has depends on the event; those behind Content are
// not in the document.
type message struct {
	Event     string `json:"event_type"`
	Timestamp string `json:"timestamp"`
	ID        string `json:"message_id,omitzero"`
	Chat      string `json:"chat_id"`
	User      string `json:"user_id"`
	Content   string `json:"content"`

	Metadata  jsontext.Value  `json:"metadata,omitzero"`
	Role      sessions.Role   `json:"sender_role,omitzero"` // of an answer that a human gave
	Status    sessions.Status `json:"status,omitzero"`      // of an answer that is not complete
	FollowUps []string        `json:"follow_up_questions,omitzero"`
	Duplicate bool            `json:"duplicate,omitzero"`
}

func (c *encoder) message(event string, e *sessions.Event) message {
	return message{Event: event, Timestamp: channels.FormatTime(e.Time), ID: e.ID, Chat: c.chat, User: c.user, Content: e.Text}
}

// received confirms what the user has said.
func (c *encoder) received(dst []byte, e *sessions.Event) []byte {
	m := c.message("message_received", e)
	m.Metadata = jsontext.Value(e.Metadata)
	return appendFrame(dst, m)
}

// reply writes what a human answers as an answer that comes in one piece: the published clients show nothing else on that
// side. None of the AI's is running then.
func (c *encoder) reply(dst []byte, e *sessions.Event) []byte {
	dst = c.started(dst, e.Time, e.ID)
	dst = c.token(dst, e.Time, e.Text)
	m := c.message("message_stream_ended", e)
	m.Role = e.Role
	return appendFrame(dst, m)
}

func (c *encoder) ended(dst []byte, e *sessions.Event) []byte {
	rest, begun := c.progress.End(e)
	if begun {
		dst = c.token(dst, e.Time, rest)
		m := c.message("message_stream_ended", e)
		m.FollowUps = e.FollowUps
		if e.Status != sessions.Complete {
			m.Status = e.Status
		}
		dst = appendFrame(dst, m)
	}
	if e.Error != nil {
		dst = appendFrame(dst, errorEvent(e.Time, fault.New(e.Error.Code, "%s", e.Error.Message)))
	}
	return dst
}

func (c *encoder) started(dst []byte, at time.Time, id string) []byte {
	return appendFrame(dst, struct {
		Event     string `json:"event_type"`
		Timestamp string `json:"timestamp"`
		Chat      string `json:"chat_id"`
		User      string `json:"user_id"`
		ID        string `json:"message_id"` // not in the document
	}{"message_stream_started", channels.FormatTime(at), c.chat, c.user, id})
}

// token writes a piece of an answer, by far the most frequent frame, and nothing for no text.
func (c *encoder) token(dst []byte, at time.Time, text string) []byte {
	if text == "" {
		return dst
	}
	return ws.AppendTextFunc(dst, func(b []byte) []byte {
		b = channels.AppendTime(append(b, `{"event_type":"message_stream_token","timestamp":"`...), at)
		b = rawjson.AppendString(append(b, `","chat_id":`...), c.chat)
		b = rawjson.AppendString(append(b, `,"token":`...), text)
		return append(b, '}')
	})
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
