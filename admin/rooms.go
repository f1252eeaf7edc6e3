package admin

import (
	"errors"
	"net/http"

	"parley/internal/fault"
	"parley/internal/openapi"
	"parley/rooms"
)

// Rooms is a part of a tenant's rooms, by their ids.
type Rooms struct {
	Rooms []rooms.Info `json:"rooms"` // at most as many as were asked for
	Total int          `json:"total"` // how many there are in all
}

// Transfer says where a participant is put.
type Transfer struct {
	To string `json:"to"` // a room, which is made if need be
}

func (s *Server) roomRoutes() []route {
	const room, participant = ofTenant + "/rooms/{room}", ofTenant + "/rooms/{room}/participants/{participant}"
	offset := openapi.Parameter{Name: "offset", About: "Leave out so many.", Number: true}
	limit := openapi.Parameter{Name: "limit", About: "At most so many.", Number: true}
	return []route{
		{id: "listRooms", method: "GET", path: ofTenant + "/rooms", handle: s.listRooms, says: "List the rooms of calls, and who is in them.", query: query{offset, limit}, gives: answer(Rooms{})},
		{id: "getRoom", method: "GET", path: room, handle: s.showRoom, says: "Show a room, and who is in it.", gives: answer(rooms.Info{})},
		{id: "closeRoom", method: "DELETE", path: room, handle: s.closeRoom, says: "Take all participants out of a room, which then is no more.", gives: nothing()},
		{id: "kickParticipant", method: "DELETE", path: participant, handle: s.kickParticipant, says: "Take a participant out of a room.", gives: nothing()},
		{id: "moveParticipant", method: "POST", path: participant + "/move", handle: s.moveParticipant, says: "Take a participant out of a room and put it into another one, which is shown.", takes: Transfer{}, gives: answer(rooms.Info{})},
	}
}

// roomFault adds to what is not there how to find what is.
func roomFault(err error, p rooms.Principal) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Code == fault.NotFound && e.Fix == "" {
		return e.WithFix("See them all with: parley room list --tenant %[1]s\nand who is in one: parley room show --tenant %[1]s ROOM", p.Tenant)
	}
	return err
}

// inMeetings names the tenant of the path as somebody who may do everything in its rooms.
func (s *Server) inMeetings(r *http.Request) (rooms.Principal, error) {
	p, err := s.oversee(r)
	return rooms.Principal{Tenant: p.Tenant, Account: p.Account}, err
}

func (s *Server) listRooms(w http.ResponseWriter, r *http.Request) error {
	p, err := s.inMeetings(r)
	if err != nil {
		return err
	}
	offset, limit, err := pageOf(r)
	if err != nil {
		return err
	}
	page, total, err := s.meetings.List(r.Context(), p, offset, max(limit, 1)) // 0 would be all
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, Rooms{append([]rooms.Info{}, page[:min(limit, len(page))]...), total})
	return nil
}

func (s *Server) showRoom(w http.ResponseWriter, r *http.Request) error {
	p, err := s.inMeetings(r)
	if err != nil {
		return err
	}
	return s.replyRoom(w, r, p, r.PathValue("room"))
}

// replyRoom answers with a room as it is now.
func (s *Server) replyRoom(w http.ResponseWriter, r *http.Request, p rooms.Principal, id string) error {
	info, err := s.meetings.Info(r.Context(), p, id)
	if err != nil {
		return roomFault(err, p)
	}
	s.reply(w, http.StatusOK, info)
	return nil
}

func (s *Server) closeRoom(w http.ResponseWriter, r *http.Request) error {
	p, err := s.inMeetings(r)
	if err != nil {
		return err
	}
	if err := s.meetings.Close(r.Context(), p, r.PathValue("room")); err != nil {
		return roomFault(err, p)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) kickParticipant(w http.ResponseWriter, r *http.Request) error {
	p, err := s.inMeetings(r)
	if err != nil {
		return err
	}
	if err := s.meetings.Kick(r.Context(), p, r.PathValue("room"), r.PathValue("participant")); err != nil {
		return roomFault(err, p)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) moveParticipant(w http.ResponseWriter, r *http.Request) error {
	p, err := s.inMeetings(r)
	if err != nil {
		return err
	}
	t, err := read[Transfer](w, r)
	if err != nil {
		return err
	}
	if err := s.meetings.Move(r.Context(), p, r.PathValue("room"), r.PathValue("participant"), t.To); err != nil {
		return roomFault(err, p)
	}
	return s.replyRoom(w, r, p, t.To)
}
