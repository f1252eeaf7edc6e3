package agents

import (
	"errors"
	"io"
	"unicode"
	"unicode/utf8"

	"parley/broker"
	"parley/channels"
	"parley/internal/fault"
	"parley/internal/rawjson"
)

// request is one frame from a client, as far as every kind of frame has it in common.
type request struct {
	ID      string           // "" when the client gave none
	Type    string           // "" when the client gave none
	Members []rawjson.Member // all of the frame
}

// decode reads a frame, its members into room. On an error the request still holds the id, if one could be read: the
// published clients know their message by nothing else.
func decode(room []rawjson.Member, text []byte) (request, error) {
	members, err := rawjson.Object(room, text)
	req := request{Members: members}
	idErr := req.readID()
	switch {
	case errors.Is(err, rawjson.ErrNotObject):
		return req, fault.New(fault.InvalidFormat, "A frame is a JSON object.")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return req, fault.New(fault.InvalidFormat, "The frame ends in the middle of its JSON.")
	case err != nil:
		return req, fault.Wrap(fault.InvalidFormat, err, "The frame is not valid JSON.").
			WithFix("Send one JSON object a frame, without duplicate names.")
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
	if id == "" || len(id) > channels.MaxIDBytes || !printable(id) {
		return fault.New(fault.InvalidID, "A message id is 1 to %d bytes of printable text.", channels.MaxIDBytes)
	}
	r.ID = id
	return nil
}

func printable(s string) bool {
	for _, c := range s {
		if ' ' <= c && c <= '~' {
			continue
		}
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}

// member returns a member of the frame, and whether it says something: null counts as nothing.
func (r *request) member(name string) (rawjson.Member, bool) {
	for _, m := range r.Members {
		if m.Name == name {
			return m, m.Value.Kind() != 'n'
		}
	}
	return rawjson.Member{}, false
}

// text returns a string member, and whether it is there. null is no string: who meant to name somebody and has nobody
// at hand must not reach everybody instead.
func (r *request) text(name string) (string, bool, error) {
	m, _ := r.member(name)
	if m.Name == "" {
		return "", false, nil
	}
	s, isString := m.String()
	if !isString {
		return "", true, fault.New(fault.InvalidFormat, "%q is not a string.", name)
	}
	return s, true, nil
}

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
