package assistant

import (
	"cmp"
	"sync/atomic"

	"parley/frontends/conversation"
	"parley/internal/fault"
	"parley/sessions"
)

// encoder writes a session as responses. What an operator says is a whole answer of its own; what the user has typed
// elsewhere has no frame.
type encoder struct {
	kind    string // the type of its frames
	session string
	page    bool        // see interrupt
	named   atomic.Bool // the client has named the conversation, so that all of it is meant for it

	over    bool // what was under way when the client came has ended
	answer  conversation.Progress
	waiting []*sessions.Event // what an operator has said while an answer was being given
}

var _ conversation.Encoder = (*encoder)(nil)

// Begin implements conversation.Encoder.
func (e *encoder) Begin(dst []byte, s sessions.Snapshot) []byte {
	a := s.Answer
	if a == nil {
		e.over = len(s.State.Pending) == 0
		return dst
	}
	e.over = false
	e.answer.Resume(a)
	if e.page {
		dst = e.interrupt(dst)
	}
	return e.piece(dst, cmp.Or(a.Reply, a.Run), a.Text)
}

// interrupt ends what a page shows of an answer. Pages of the document append what comes under the request_id that they
// have seen last; one that was cut off in the middle of an answer and comes back would show the beginning twice. A frame
// that finishes nothing makes them begin a new message, as a new page does.
func (e *encoder) interrupt(dst []byte) []byte {
	return response{kind: e.kind, conversation: e.session, finished: true}.appendTo(dst)
}

// Event implements conversation.Encoder.
func (e *encoder) Event(dst []byte, ev *sessions.Event) []byte {
	if e.over && !e.named.Load() {
		return dst
	}
	switch ev.Kind {
	case sessions.Started:
		e.answer.Start(ev)
	case sessions.Chunk:
		request := cmp.Or(e.answer.Reply, e.answer.Run)
		return e.piece(dst, request, e.answer.Piece(ev))
	case sessions.Ended:
		dst = e.end(dst, ev)
		e.over = ev.State != nil && ev.State.Answer == nil && len(ev.State.Pending) == 0
		for _, said := range e.waiting {
			dst = e.said(dst, said)
		}
		e.waiting = nil
	case sessions.Said:
		switch {
		case ev.Role != sessions.Operator:
		case e.answer.ID != "":
			e.waiting = append(e.waiting, ev)
		default:
			return e.said(dst, ev)
		}
	default:
	}
	return dst
}

func (e *encoder) piece(dst []byte, request, text string) []byte {
	if text == "" {
		return dst
	}
	return response{kind: e.kind, conversation: e.session, request: request, delta: text}.appendTo(dst)
}

// end writes the last frame of an answer. What went wrong is said in words, behind the text that there is.
func (e *encoder) end(dst []byte, ev *sessions.Event) []byte {
	rest, begun := e.answer.End(ev)
	if !begun {
		rest = ev.Text
	}
	r := response{
		kind: e.kind, conversation: e.session, request: cmp.Or(ev.Reply, ev.Run), delta: rest,
		finished: true, followUps: ev.FollowUps, status: ev.Status,
	}
	if ev.Status == sessions.Failed && ev.Error != nil {
		r.problem = fault.New(ev.Error.Code, "%s", ev.Error.Message)
		if ev.Text != "" {
			r.delta += "\n\n"
		}
		r.delta += ev.Error.Message
	}
	return r.appendTo(dst)
}

func (e *encoder) said(dst []byte, ev *sessions.Event) []byte {
	return response{
		kind: e.kind, conversation: e.session, request: ev.ID, delta: ev.Text,
		finished: true, status: sessions.Complete, role: sessions.Operator,
	}.appendTo(dst)
}
