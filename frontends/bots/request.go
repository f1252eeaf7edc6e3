package bots

import (
	"slices"

	"parley/frontends/frame"
	"parley/internal/fault"
	"parley/internal/rawjson"
	"parley/sessions"
)

// request is one frame from a client: its fields, with those of its payload before the others.
type request struct {
	verb    string
	session string // "" when the client gave none
	fields  frame.Fields
}

func decode(text []byte) (req request, err error) {
	if req.fields, err = unwrapped(text); err != nil {
		return req, err
	}
	if req.verb, err = req.fields.Required("type"); err != nil {
		return req, err
	}
	req.session, err = req.fields.Optional("session_id")
	return req, err
}

// unwrapped returns the fields of a frame, as far as they can be read. Its payload counts as if it stood outside.
func unwrapped(text []byte) (frame.Fields, error) {
	outer, err := frame.Read(nil, text)
	if err != nil {
		return outer, err
	}
	payload, ok := outer.Get("payload")
	if !ok {
		return outer, nil
	}
	if payload.Value.Kind() != '{' {
		return outer, fault.New(fault.InvalidFormat, "The payload is not an object.")
	}
	inner, err := frame.Read(nil, payload.Value)
	if err != nil {
		return outer, err
	}
	// What a frame is stands outside.
	inner = slices.DeleteFunc(inner, func(m rawjson.Member) bool { return m.Name == "type" })
	return append(inner, outer...), nil
}

// utterance reads what the frame says.
func (r request) utterance() (u sessions.Utterance, err error) {
	if u.Text, err = r.fields.Required("content"); err != nil {
		return u, err
	}
	if u.Metadata, err = r.fields.Object("metadata"); err != nil {
		return u, err
	}
	u.ID, err = r.fields.MessageID("message_id")
	return u, err
}

// spec reads what session the frame wants, if it has to be made.
func (r request) spec() (s sessions.Spec, err error) {
	s.ID = r.session
	s.Bot, err = botOf(r.fields)
	return s, err
}

// named returns the session that the frame is about, which must be named.
func (r request) named() (string, error) {
	if r.session == "" {
		return "", fault.New(fault.InvalidFormat, "The frame has no session_id.")
	}
	return r.session, nil
}

// about returns which session and which message a frame names, as far as it can be read and repeated.
func about(text []byte) (session, id string) {
	fields, _ := unwrapped(text) // as far as it could be read
	session, _ = fields.MessageID("session_id")
	id, _ = fields.MessageID("message_id")
	return session, id
}
