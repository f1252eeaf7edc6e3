package sessions

import (
	"encoding/json"
	"time"

	"parley/broker"
	"parley/tenants"
)

// Principal is who wants something. The zero value of Operator means a user, who sees only sessions of his own.
type Principal struct {
	Tenant   tenants.ID
	Account  broker.AccountID
	User     string          // 1 to 128 printable bytes
	Operator bool            // a human who takes over, a service or an administrator: may see and do everything in the tenant
	Claims   json.RawMessage // what workers are told about the user; may be nil
}

// Spec asks for a session.
type Spec struct {
	ID       string // a broker.Token. Zero means a fresh UUID.
	User     string // whose it is. Zero means the principal's own.
	Bot      string // which workers answer: the queue, a broker.Token. Zero means "ai".
	Title    string
	Metadata json.RawMessage
}

// Info is what is known of a session beside its log.
type Info struct {
	ID       string          `json:"id"`                // id of the session
	User     string          `json:"user"`              // whose session it is
	Bot      string          `json:"bot,omitzero"`      // queue of workers that answers
	Title    string          `json:"title,omitzero"`    // for people
	Metadata json.RawMessage `json:"metadata,omitzero"` // whatever its maker has put there
	Created  time.Time       `json:"created"`           // when it began
}

// Overview is an Info with what the log says of the present.
type Overview struct {
	Info
	State   State     `json:"state"`   // how things stand in it
	Index   uint64    `json:"index"`   // of the newest event
	Changed time.Time `json:"changed"` // when that was
}

// Utterance is what somebody says.
type Utterance struct {
	ID       string          // the client's own id, by which a repetition is recognised. Zero means a fresh one and no recognition.
	Text     string          // must not be empty
	Reply    string          // the client's own name for it, repeated in the answer
	Metadata json.RawMessage // an object, or nil
	Origin   string          // see Event.Origin
	Trace    string          // the traceparent of whatever it is said for. Zero means that of the context, if any.
}

// Snapshot is where a Follower begins.
type Snapshot struct {
	Info   Info
	Index  uint64 // everything up to here is in the past: Deliver begins with the next
	State  State
	Answer *Answer // the answer that is running, nil when none is
}

// Answer is a running answer with all that there is of it so far.
type Answer struct {
	ID      string
	Run     string
	Reply   string // see Event.Reply
	Text    string
	Started time.Time
}

// Follower is told what happens in a session. All calls come from one goroutine at a time, in the order of the log, and
// must not block. Begin is called first, once.
type Follower interface {
	Begin(Snapshot)
	// Deliver tells of one event, whose memory is the caller's again afterwards.
	Deliver(*Event)
	// Lost ends the following: the session was deleted, its tenant is gone, or it can't be read any more.
	Lost(error)
}
