package bots

import (
	"parley/frontends/frame"
	"parley/internal/fault"
	"parley/sessions"
)

// request is one frame from a client: its fields, with those of its payload before the others.
type request struct {
	verb    string
	session string // "" when the client gave none
	fields  frame.Fields
}

func decode(text []byte) (req request, err error) {
	if req.fields, err = frame.ReadEnvelope(nil, text); err != nil {
		return req, err
	}
	if req.verb, err = req.fields.Required("type"); err != nil {
		return req, err
	}
	req.session, err = req.fields.Optional("session_id")
	return req, err
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
	fields, _ := frame.ReadEnvelope(nil, text) // as far as it could be read
	session, _ = fields.MessageID("session_id")
	id, _ = fields.MessageID("message_id")
	return session, id
}
