package chat

import (
	"time"

	"parley/frontends/conversation"
	"parley/frontends/ws"
	"parley/internal/rawjson"
	"parley/sessions"
)

// encoder writes a session as streams. What an operator says is a stream as well, of one token; what the user has typed
// on another device has no frame.
type encoder struct {
	answer conversation.Progress
}

var _ conversation.Encoder = (*encoder)(nil)

// Begin implements conversation.Encoder.
func (e *encoder) Begin(dst []byte, s sessions.Snapshot) []byte {
	a := s.Answer
	if a == nil {
		return dst
	}
	e.answer.Resume(a)
	dst = appendStart(dst, a.ID, sessions.Assistant, a.Started)
	return appendToken(dst, a.ID, a.Text, a.Started)
}

// Event implements conversation.Encoder.
func (e *encoder) Event(dst []byte, ev *sessions.Event) []byte {
	switch ev.Kind {
	case sessions.Started:
		e.answer.Start(ev)
		return appendStart(dst, ev.ID, sessions.Assistant, ev.Time)
	case sessions.Chunk:
		return appendToken(dst, ev.ID, e.answer.Piece(ev), ev.Time)
	case sessions.Ended:
		return e.end(dst, ev)
	case sessions.Said:
		if ev.Role != sessions.Operator {
			return dst
		}
		dst = appendStart(dst, ev.ID, sessions.Operator, ev.Time)
		dst = appendToken(dst, ev.ID, ev.Text, ev.Time)
		return appendEnd(dst, &sessions.Event{ID: ev.ID, Time: ev.Time, Status: sessions.Complete})
	default:
		return dst
	}
}

func (e *encoder) end(dst []byte, ev *sessions.Event) []byte {
	rest, begun := e.answer.End(ev)
	dst = appendToken(dst, ev.ID, rest, ev.Time)
	if begun {
		dst = appendEnd(dst, ev)
	}
	if ev.Status == sessions.Failed && ev.Error != nil {
		dst = ws.AppendText(dst, errorFrame("", ev.Time, ev.Error.Code, ev.Error.Message, ""))
	}
	return dst
}

func appendStart(dst []byte, id string, role sessions.Role, at time.Time) []byte {
	return ws.AppendTextFunc(dst, func(b []byte) []byte {
		b = appendTime(appendID(append(b, `{"type":"stream-start"`...), id), at)
		if role != sessions.Assistant {
			b = appendString(b, "role", string(role))
		}
		return append(b, '}')
	})
}

// appendToken appends nothing for an empty text: a stream has no empty tokens.
func appendToken(dst []byte, id, text string, at time.Time) []byte {
	if text == "" {
		return dst
	}
	return ws.AppendTextFunc(dst, func(b []byte) []byte {
		b = appendID(append(b, `{"type":"stream-token"`...), id)
		b = appendString(b, "token", text)
		return append(appendTime(b, at), '}')
	})
}

func appendEnd(dst []byte, ev *sessions.Event) []byte {
	return ws.AppendTextFunc(dst, func(b []byte) []byte {
		b = appendTime(appendID(append(b, `{"type":"stream-end"`...), ev.ID), ev.Time)
		b = appendString(b, "status", string(ev.Status))
		if len(ev.FollowUps) > 0 {
			b = append(b, `,"follow_up_questions":[`...)
			for i, q := range ev.FollowUps {
				if i > 0 {
					b = append(b, ',')
				}
				b = rawjson.AppendString(b, q)
			}
			b = append(b, ']')
		}
		return append(b, '}')
	})
}

func appendID(b []byte, answer string) []byte { return appendString(b, "messageId", messageID(answer)) }
