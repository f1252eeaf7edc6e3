package admin

import (
	"net/http"
	"strconv"
	"strings"

	"parley/internal/fault"
	"parley/sessions"
)

// MaxSessions is how many sessions, or messages of one, a request lists at most.
const MaxSessions = 100

// Sessions is a part of a tenant's sessions, the newest first; of those that wait for a human all, the longest waiting
// first.
type Sessions struct {
	Sessions []sessions.Overview `json:"sessions"` // at most as many as were asked for
	Total    int                 `json:"total"`    // how many there are in all
}

// Said is a part of what was said in a session, in the order of its log.
type Said struct {
	Messages []*sessions.Event `json:"messages"` // at most as many as were asked for
	Total    int               `json:"total"`    // how many there are in all
}

// Order says how something is to be done in a session.
type Order struct {
	Operator string `json:"operator,omitempty"` // who claims, replies, releases or closes
	ID       string `json:"id,omitempty"`       // reply: a repetition with the same id is stored once. Defaults to a fresh one.
	Text     string `json:"text,omitempty"`     // reply; escalate and close: why
	Run      string `json:"run,omitempty"`      // stop: only the answer to this message
}

// Reply says that an operator's words are on disk.
type Reply struct {
	ID        string `json:"message_id"`         // that was given, or a fresh one
	Duplicate bool   `json:"duplicate,omitzero"` // a reply with this id was there already, and this one was left out
}

// oversee names the tenant of the path as somebody who may see and do everything in it does.
func (s *Server) oversee(r *http.Request) (sessions.Principal, error) {
	t, err := s.tenant(r)
	if err != nil {
		return sessions.Principal{}, err
	}
	if t.Suspended() {
		return sessions.Principal{}, suspended(t.ID)
	}
	return sessions.Principal{Tenant: t.ID, Account: t.Account, Operator: true}, nil
}

func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) error {
	p, err := s.oversee(r)
	if err != nil {
		return err
	}
	offset, limit, err := pageOf(r)
	if err != nil {
		return err
	}
	page, total, err := s.talks.List(r.Context(), p, r.URL.Query().Get("user"), offset, limit)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, Sessions{append([]sessions.Overview{}, page...), total})
	return nil
}

func (s *Server) listWaiting(w http.ResponseWriter, r *http.Request) error {
	p, err := s.oversee(r)
	if err != nil {
		return err
	}
	waiting, err := s.talks.Queue(r.Context(), p)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, Sessions{append([]sessions.Overview{}, waiting...), len(waiting)})
	return nil
}

func (s *Server) showSession(w http.ResponseWriter, r *http.Request) error {
	p, err := s.oversee(r)
	if err != nil {
		return err
	}
	return s.replySession(w, r, p)
}

// replySession answers with what holds in the session now.
func (s *Server) replySession(w http.ResponseWriter, r *http.Request, p sessions.Principal) error {
	o, err := s.talks.Info(r.Context(), p, r.PathValue("session"))
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, o)
	return nil
}

func (s *Server) listSaid(w http.ResponseWriter, r *http.Request) error {
	p, err := s.oversee(r)
	if err != nil {
		return err
	}
	offset, limit, err := pageOf(r)
	if err != nil {
		return err
	}
	said, total, err := s.talks.History(r.Context(), p, r.PathValue("session"), offset, limit, false)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, Said{append([]*sessions.Event{}, said...), total})
	return nil
}

// orderSession does what the last part of the path says. Everything but a reply is answered with what then holds.
func (s *Server) orderSession(w http.ResponseWriter, r *http.Request) error {
	p, err := s.oversee(r)
	if err != nil {
		return err
	}
	o, err := read[Order](w, r)
	if err != nil {
		return err
	}
	p.User = o.Operator
	id, talks, ctx := r.PathValue("session"), s.talks, r.Context()
	switch r.PathValue("verb") {
	case "reply":
		e, duplicate, err := talks.Say(ctx, p, id, sessions.Utterance{ID: o.ID, Text: o.Text})
		if err != nil {
			return err
		}
		s.reply(w, http.StatusCreated, Reply{ID: e.ID, Duplicate: duplicate})
		return nil
	case "claim":
		err = talks.Claim(ctx, p, id)
	case "release":
		err = talks.Release(ctx, p, id)
	case "stop":
		err = talks.Stop(ctx, p, id, o.Run)
	case "escalate":
		err = talks.Escalate(ctx, p, id, o.Text)
	case "close":
		err = talks.Close(ctx, p, id, o.Text)
	default:
		return fault.New(fault.NotFound, "There is no such endpoint.")
	}
	if err != nil {
		return err
	}
	return s.replySession(w, r, p)
}

// pageOf reads which part of a list is wanted.
func pageOf(r *http.Request) (offset, limit int, err error) {
	limit = MaxSessions
	for name, n := range map[string]*int{"offset": &offset, "limit": &limit} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		if *n, err = strconv.Atoi(text); err != nil || *n < 0 || strings.HasPrefix(text, "+") {
			return 0, 0, fault.New(fault.InvalidFormat, "%s is a number from 0 on.", name)
		}
	}
	if limit > MaxSessions {
		return 0, 0, fault.New(fault.InvalidFormat, "limit is at most %d.", MaxSessions)
	}
	return offset, limit, nil
}
