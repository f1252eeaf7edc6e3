package rooms

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"parley/broker"
)

// EventType names what services are told of a room.
type EventType string

// The events.
const (
	RoomStarted       EventType = "room_started"  // the first participant has come
	RoomFinished      EventType = "room_finished" // the last one has left
	ParticipantJoined EventType = "participant_joined"
	ParticipantLeft   EventType = "participant_left"
)

// Event is what services are told on meet.<room>.event. It is told once, by the node that has made the change, and not
// stored.
type Event struct {
	ID          string       `json:"id"` // a UUIDv7
	Type        EventType    `json:"type"`
	Room        broker.Token `json:"room_id"`
	Name        string       `json:"room_name,omitempty"`
	Created     time.Time    `json:"created_at"`
	Participant *Participant `json:"participant,omitempty"`
	Reason      Reason       `json:"reason,omitempty"` // why the participant has left
	To          string       `json:"to,omitempty"`     // where he was moved
}

// announce tells the tenant's services what a change of the record means.
func (r *room) announce(before, after *record) {
	var all []Event
	if len(before.members()) == 0 && len(after.Members) > 0 {
		all = append(all, Event{Type: RoomStarted})
	}
	for i := range after.Members {
		if m := &after.Members[i]; before.member(m.ID) == nil {
			who := m.participant()
			all = append(all, Event{Type: ParticipantJoined, Participant: &who})
		}
	}
	for i := range before.members() {
		if m := &before.Members[i]; after.member(m.ID) == nil {
			who, why := m.participant(), after.why(m.ID)
			all = append(all, Event{Type: ParticipantLeft, Participant: &who, Reason: why.Reason, To: why.To})
		}
	}
	if len(before.members()) > 0 && len(after.Members) == 0 {
		all = append(all, Event{Type: RoomFinished})
	}
	for _, e := range all {
		e.ID, e.Room, e.Name, e.Created = uuid.Must(uuid.NewV7()).String(), r.id, after.Name, now()
		b, err := json.Marshal(e)
		if err != nil {
			panic(err) // unreachable: an event always marshals
		}
		_ = r.space.conn.NATS().Publish(string(broker.RoomEvent(r.id)), b) // it is not stored anyway
	}
}
