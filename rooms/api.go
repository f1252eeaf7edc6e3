package rooms

import (
	"time"

	"parley/broker"
	"parley/tenants"
)

// Principal is who wants something of a tenant's rooms. Whether he may join a room is for the caller to know: the package
// knows no tokens.
type Principal struct {
	Tenant  tenants.ID
	Account broker.AccountID
}

// Spec asks for a room.
type Spec struct {
	ID   string // a broker.Token. Zero means a fresh UUID.
	Name string // for people, at most 128 bytes
	Max  int    // participants. Zero means Config.MaxParticipants.
}

// Info is what is known of a room.
type Info struct {
	ID           string        `json:"room_id"`          // id of the room
	Name         string        `json:"name,omitzero"`    // for people
	Max          int           `json:"max_participants"` // how many participants it takes
	Created      time.Time     `json:"created_at"`       // when it was made, or first joined
	Participants []Participant `json:"participants"`     // in the order in which they came
}

// Participant is somebody in a room.
type Participant struct {
	ID     string    `json:"participant_id"`   // a UUIDv7
	Name   string    `json:"participant_name"` // for people, as it called itself
	Joined time.Time `json:"joined_at"`        // when it came in
}

// Entry is how somebody comes into a room.
type Entry struct {
	Name string // at most 128 bytes of printable text

	// Participant and Resume are who he was before his connection was lost, and the proof of it. Zero means somebody new.
	Participant string
	Resume      string
	// LastSeq is the number of the last signal that he has got: later ones are handed over once more. Nil means that he
	// has got all that was sent to his connection.
	LastSeq *uint64
}

// Reason says why a participant has left.
type Reason string

// The reasons.
const (
	Left    Reason = "left"    // he said so
	Timeout Reason = "timeout" // his connection was lost, and he has not come back in time
	Kicked  Reason = "kicked"  // somebody removed him
	Moved   Reason = "moved"   // somebody put him into another room
	Closed  Reason = "closed"  // somebody closed the room
)

// NoticeKind says what a Notice tells.
type NoticeKind int

// The kinds of notice.
const (
	Welcomed   NoticeKind = iota // the participant is in the room: see Notice.Welcome
	Entered                      // another one has joined
	Departed                     // one has left, perhaps the participant himself, for whom it is the last
	Signaled                     // another one has sent a signal
	Superseded                   // another connection has resumed the participant: this one is no longer told anything
)

// Notice is one thing that a Listener is told.
type Notice struct {
	Kind        NoticeKind
	Room        broker.Token
	Participant Participant // Entered, Departed: who. Signaled: the ID of the sender only.
	Own         bool        // Departed: it is the participant himself
	Polite      bool        // Entered, Signaled: the role of who is told, towards Participant
	Reason      Reason      // Departed
	To          string      // Departed, Moved: the room
	Signal      []byte      // Signaled: as it was sent; not to be changed
	Seq         uint64      // Signaled: counts the participant's signals from 1
	Welcome     *Welcome    // Welcomed
}

// Welcome is what a participant has to know when he comes in, or back.
type Welcome struct {
	Seat    *Seat
	Self    Participant
	Resume  string // proves that he is Self, on any node
	Resumed bool
	Others  []Other // in the order in which they came
	ICE     []ICEServer
}

// Other is another participant.
type Other struct {
	Participant
	Polite bool // the role of who is told
}

// Listener is one connection of a participant. The calls for one room come one at a time and in order; those for several
// may come at the same time. They must not block. The notices are the Listener's to keep, the slice is not.
type Listener interface {
	Deliver([]Notice)
}
