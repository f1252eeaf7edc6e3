package rooms

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"parley/broker"
	"parley/internal/fault"
)

const (
	// maxServing bounds what services of one tenant have this node do at the same time.
	maxServing  = 64
	serveWithin = 10 * time.Second
)

// asked is what a service sends with meet.<room>.do.<verb>. docs/meet.md describes it.
type asked struct {
	Participant string `json:"participant_id"` // kick, move
	To          string `json:"to"`             // move: a room
}

// served is how a service is answered.
type served struct {
	OK    bool     `json:"ok"`
	Room  *Info    `json:"room,omitzero"` // info
	Error *problem `json:"error,omitzero"`
}

type problem struct {
	Code    fault.Code `json:"code"`
	Message string     `json:"message"`
}

// serve carries out what a service asks for.
func (s *space) serve(m *nats.Msg) {
	respond := func(r served) {
		if data, err := json.Marshal(r); err == nil {
			broker.Answer(m, data)
		}
	}
	refuse := func(err error) { respond(served{Error: &problem{fault.CodeOf(err), fault.Message(err)}}) }
	id, what, ok := broker.Subject(m.Subject).Room()
	if !ok {
		refuse(fault.New(fault.InvalidID, "The subject names no room."))
		return
	}
	select {
	case s.serving <- struct{}{}:
	default:
		refuse(fault.New(fault.RateLimited, "The tenant's services ask too much at the same time."))
		return
	}
	s.start(func(ctx context.Context) {
		defer func() { <-s.serving }()
		ctx, cancel := context.WithTimeout(ctx, serveWithin)
		defer cancel()
		answer, err := s.obey(ctx, string(id), strings.TrimPrefix(what, "do."), m.Data)
		if err != nil {
			refuse(err)
			return
		}
		respond(answer)
	})
}

// obey does what a service wants. Services are the tenant's own: they may do everything in its rooms.
func (s *space) obey(ctx context.Context, room, verb string, data []byte) (served, error) {
	var a asked
	if len(data) > 0 {
		if err := json.Unmarshal(data, &a); err != nil {
			return served{}, fault.Wrap(fault.InvalidFormat, err, "The request is no JSON object.")
		}
	}
	who := Principal{Account: s.account}
	switch verb {
	case "info":
		info, err := s.hub.Info(ctx, who, room)
		return served{OK: true, Room: &info}, err
	case "kick":
		return served{OK: true}, s.hub.Kick(ctx, who, room, a.Participant)
	case "move":
		return served{OK: true}, s.hub.Move(ctx, who, room, a.Participant, a.To)
	case "close":
		return served{OK: true}, s.hub.Close(ctx, who, room)
	}
	return served{}, fault.New(fault.InvalidFormat, "There is no verb %.64q.", verb).WithFix("The verbs are info, kick, move and close.")
}
