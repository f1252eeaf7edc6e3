package meet

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"parley/frontends/frame"
	"parley/internal/fault"
	"parley/rooms"
)

// request is one frame from a client.
type request struct {
	verb   string
	room   string // "" when the client gave none
	fields frame.Fields
}

// usualFields is how many fields a frame has room for without costing memory of its own.
const usualFields = 8

func decode(room frame.Fields, text []byte) (req request, err error) {
	if req.fields, err = frame.ReadEnvelope(room, text); err != nil {
		return req, err
	}
	if req.verb, err = req.fields.Required("type"); err != nil {
		return req, err
	}
	req.room, err = req.fields.Optional("room_id")
	return req, err
}

// named returns the room that the frame is about, which must be named.
func (r request) named() (string, error) {
	if r.room == "" {
		return "", fault.New(fault.InvalidFormat, "The frame has no room_id.")
	}
	return r.room, nil
}

// entry reads how somebody wants to come in.
func (r request) entry() (e rooms.Entry, err error) {
	if e.Name, err = r.fields.Optional("participant_name"); err != nil {
		return e, err
	}
	if e.Participant, err = r.fields.Optional("participant_id"); err != nil {
		return e, err
	}
	if e.Resume, err = r.fields.Optional("resume_token"); err != nil {
		return e, err
	}
	m, ok := r.fields.Get("last_seq")
	if !ok {
		return e, nil
	}
	n, err := strconv.ParseUint(string(m.Value), 10, 53) // all that JavaScript can count
	if err != nil {
		return e, fault.New(fault.InvalidFormat, "%q is not a number of a signal.", "last_seq")
	}
	e.LastSeq = &n
	return e, nil
}

// signal reads whom the frame is for, and what it carries: any JSON value but null, which is not looked into.
func (r request) signal() (target string, data jsontext.Value, err error) {
	if target, err = r.fields.Required("target_id"); err != nil {
		return "", nil, err
	}
	m, ok := r.fields.Get("signal")
	if !ok {
		return "", nil, fault.New(fault.InvalidFormat, "The frame has no signal.")
	}
	return target, m.Value, nil
}

// about returns which room and which participant a frame names, as far as it can be read and repeated.
func about(text []byte) (room, target string) {
	fields, _ := frame.ReadEnvelope(nil, text) // as far as it could be read
	room, _ = fields.MessageID("room_id")
	target, _ = fields.MessageID("target_id")
	return room, target
}
