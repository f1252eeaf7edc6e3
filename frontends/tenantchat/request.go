package tenantchat

import (
	"parley/frontends/frame"
	"parley/internal/fault"
	"parley/sessions"
)

// request is one frame from a client. The document has but one kind, which says something; the others are extensions that
// name their kind in `type` or, as the frames of the server do, in `event_type`.
type request struct {
	verb   string // "" says something, "stop", "ping", "human-escalation", "auth"
	said   sessions.Utterance
	reason string
	token  string // of an auth
}

func decode(text []byte) (request, error) {
	var req request
	fields, err := frame.Read(nil, text)
	if err != nil {
		return req, err
	}
	if req.verb, err = verb(fields); err != nil {
		return req, err
	}
	switch req.verb {
	case "stop", "ping":
		return req, nil
	case "human-escalation":
		if req.reason, err = fields.Optional("reason"); err == nil && req.reason == "" {
			req.reason, err = fields.Optional("message")
		}
		return req, err
	case "auth":
		req.token, err = fields.Required("token")
		return req, err
	case "", "message":
		req.verb = ""
		req.said, err = utterance(fields)
		return req, err
	}
	return req, fault.New(fault.UnknownType, "There is no message type %.64q.", req.verb)
}

func verb(fields frame.Fields) (string, error) {
	v, err := fields.Optional("type")
	if err != nil || v != "" {
		return v, err
	}
	return fields.Optional("event_type")
}

// utterance reads what is said.
func utterance(fields frame.Fields) (u sessions.Utterance, err error) {
	if u.Text, err = fields.Required("content"); err != nil {
		return u, err
	}
	if u.Metadata, err = fields.Object("metadata"); err != nil {
		return u, err
	}
	u.ID, err = fields.MessageID("message_id")
	return u, err
}

// idOf returns the id of a message that was refused, if it can be read and repeated.
func idOf(text []byte) string {
	fields, _ := frame.Read(nil, text) // as far as it could be read
	id, _ := fields.MessageID("message_id")
	return id
}
