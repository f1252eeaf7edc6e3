package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"parley/channels"
	"parley/internal/fault"
)

func (s *Server) listDeadLetters(w http.ResponseWriter, r *http.Request) error {
	after, err := deadLetterNumber(r.URL.Query().Get("after"), 0)
	if err != nil {
		return err
	}
	limit, err := limitOf(r)
	if err != nil {
		return err
	}
	space, _, err := s.space(r)
	if err != nil {
		return err
	}
	defer space.Release()
	found, err := space.DeadLetters(r.Context(), after, limit+1) // one more tells whether there is more
	if err != nil {
		return err
	}
	page := DeadLetters{DeadLetters: []DeadLetter{}, Last: after, More: len(found) > limit}
	for _, d := range found[:min(len(found), limit)] {
		page.DeadLetters = append(page.DeadLetters, deadLetterOf(d))
		page.Last = d.Number
	}
	s.reply(w, http.StatusOK, page)
	return nil
}

func deadLetterOf(d channels.DeadLetter) DeadLetter {
	return DeadLetter{
		Number: d.Number, Place: d.Place, Channel: d.Address.Channel, Target: d.Address.Agent, Seq: d.Seq,
		Deliveries: d.Deliveries, Time: d.Time.UTC(), Message: jsontext.Value(d.Message),
	}
}

func (s *Server) replayDeadLetter(w http.ResponseWriter, r *http.Request) error {
	return s.settleDeadLetter(w, r, (*channels.Space).Replay)
}

func (s *Server) dropDeadLetter(w http.ResponseWriter, r *http.Request) error {
	return s.settleDeadLetter(w, r, (*channels.Space).DropDeadLetter)
}

func (s *Server) settleDeadLetter(w http.ResponseWriter, r *http.Request, do func(*channels.Space, context.Context, uint64) error) error {
	number, err := deadLetterNumber(r.PathValue("number"), 1)
	if err != nil {
		return err
	}
	space, _, err := s.space(r)
	if err != nil {
		return err
	}
	defer space.Release()
	if err := do(space, r.Context(), number); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// deadLetterNumber reads a number that is at least lowest; nothing is the lowest.
func deadLetterNumber(text string, lowest uint64) (uint64, error) {
	if text == "" {
		return lowest, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n < lowest {
		return 0, fault.New(fault.InvalidFormat, "A dead letter is named by its number.")
	}
	return n, nil
}
