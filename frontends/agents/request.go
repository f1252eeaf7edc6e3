package agents

import (
	"parley/broker"
	"parley/channels"
	"parley/frontends/frame"
	"parley/internal/fault"
	"parley/internal/rawjson"
)

// request is one frame from a client, as far as every kind of frame has it in common.
type request struct {
	ID      string       // "" when the client gave none
	Type    string       // "" when the client gave none
	Members frame.Fields // all of the frame
}

// decode reads a frame, its members into room. On an error the request still holds the id, if one could be read: the
// published clients know their message by nothing else.
func decode(room []rawjson.Member, text []byte) (request, error) {
	fields, err := frame.Read(room, text)
	req := request{Members: fields}
	idErr := req.readID()
	switch {
	case err != nil:
		return req, err
	case idErr != nil:
		return req, idErr
	}
	if m, _ := req.member("type"); m.Is("message") {
		req.Type = "message"
		return req, nil
	}
	req.Type, _, err = req.text("type")
	return req, err
}

func (r *request) readID() error {
	id, ok, err := r.text("id")
	if err != nil || !ok {
		return err
	}
	if id == "" || len(id) > channels.MaxIDBytes || !frame.Printable(id) {
		return fault.New(fault.InvalidID, "A message id is 1 to %d bytes of printable text.", channels.MaxIDBytes)
	}
	r.ID = id
	return nil
}

func (r *request) member(name string) (rawjson.Member, bool) { return r.Members.Get(name) }

func (r *request) text(name string) (string, bool, error) { return r.Members.Text(name) }

// channel returns the channel that the frame names, "" when it names none.
func (r *request) channel() (broker.Name, error) {
	s, ok, err := r.text("channel_id")
	if err != nil || !ok {
		return "", err
	}
	return broker.ParseName(s)
}

// target returns the agent that the frame is meant for, "" when it names none.
func (r *request) target() (broker.Token, error) {
	s, ok, err := r.text("target")
	if err != nil || !ok {
		return "", err
	}
	return broker.ParseToken(s)
}

// since returns the position that the frame asks for: a number, or a string as in a URL.
func (r *request) since() (channels.Since, error) {
	m, ok := r.member("since")
	if !ok {
		return channels.Since{}, nil
	}
	if s, ok := m.String(); ok {
		return channels.ParseSince(s)
	}
	return channels.ParseSince(string(m.Value))
}
