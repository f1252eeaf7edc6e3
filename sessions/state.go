package sessions

import "slices"

// Mode says who answers the user.
type Mode string

// The modes.
const (
	ByAI    Mode = "ai"
	Waiting Mode = "waiting" // for a human; until one comes the AI answers
	ByHuman Mode = "human"
)

// State is what a log says of the present. It is small, because most events carry it.
type State struct {
	Mode     Mode      `json:"mode"`              // who answers: the AI, or a human
	Epoch    uint64    `json:"epoch"`             // grows with each change of who answers; what was begun in an older one counts no more
	Operator string    `json:"operator,omitzero"` // ByHuman: who
	Closed   bool      `json:"closed,omitzero"`   // nothing more can be said
	Messages int       `json:"messages"`          // how many messages and answers the log has
	Recent   []uint64  `json:"recent,omitzero"`   // where in the stream the newest of them are
	Seen     []string  `json:"seen,omitzero"`     // the newest ids that clients gave, so that a repetition is recognised
	Pending  []Pending `json:"pending,omitzero"`  // messages that wait for an answer; the first one's may be running
	Answer   *Running  `json:"answer,omitzero"`   // the answer that is being given
}

// Pending is a message that waits for an answer.
type Pending struct {
	Run     string `json:"run"`              // the message's ID
	Reply   string `json:"request,omitzero"` // see Event.Reply
	Attempt int    `json:"attempt"`          // the newest attempt that a worker has accepted, 0 for none
	Trace   string `json:"trace,omitzero"`   // the traceparent of what has been said, if it is traced
}

// Running is an answer that is being given.
type Running struct {
	ID     string `json:"id"`              // of the message that is being written
	Run    string `json:"run"`             // id of the message that is answered
	Worker string `json:"worker,omitzero"` // who answers; empty while nobody has taken it
	Seq    uint64 `json:"seq,omitzero"`    // where its Started is in the stream; 0 in the Started itself
}

// clone returns a copy that shares nothing with s.
func (s State) clone() *State {
	s.Recent, s.Seen, s.Pending = slices.Clone(s.Recent), slices.Clone(s.Seen), slices.Clone(s.Pending)
	if s.Answer != nil {
		answer := *s.Answer
		s.Answer = &answer
	}
	return &s
}
