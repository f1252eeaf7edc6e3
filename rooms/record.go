package rooms

import (
	"encoding/json"
	"slices"
	"time"

	"parley/broker"
)

// record is a room as the tenant's bucket has it.
type record struct {
	Name     string    `json:"name,omitempty"`
	Max      int       `json:"max"`
	Created  time.Time `json:"created"`
	Declared bool      `json:"declared,omitempty"` // it was made before anybody joined, and stays when all have left
	Emptied  time.Time `json:"emptied,omitzero"`   // when the last one left, or it was declared

	Came    uint64    `json:"came"` // counts those who have ever joined
	Members []member  `json:"members,omitempty"`
	Gone    []leaving `json:"gone,omitempty"` // who has left of late
}

// member is a participant in a record.
type member struct {
	ID     string       `json:"id"`
	Name   string       `json:"name"`
	Joined time.Time    `json:"joined"`
	Order  uint64       `json:"order"` // record.Came when he came: of two, the later one is polite
	Node   broker.Token `json:"node"`  // where he is connected, or was last
	Moves  uint64       `json:"moves"` // grows with every change of Node
}

// leaving is why somebody has left.
type leaving struct {
	ID     string `json:"id"`
	Reason Reason `json:"reason"`
	To     string `json:"to,omitempty"`
}

// maxGone bounds how many leavings a record remembers: all nodes see nearly every version of it.
const maxGone = 16

func decodeRecord(value []byte) (*record, error) {
	r := &record{}
	return r, json.Unmarshal(value, r)
}

func (r *record) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // unreachable: a record always marshals
	}
	return b
}

// clone returns a copy that may be changed; a nil record is one of a room that does not exist.
func (r *record) clone() *record {
	if r == nil {
		return nil
	}
	c := *r
	c.Members, c.Gone = slices.Clone(r.Members), slices.Clone(r.Gone)
	return &c
}

// void reports whether the room is no more.
func (r *record) void() bool { return r == nil || len(r.Members) == 0 && !r.Declared }

// members returns who is in the room; a nil record has none.
func (r *record) members() []member {
	if r == nil {
		return nil
	}
	return r.Members
}

// member returns a participant, nil when he is not in the room. It is valid until the record is changed.
func (r *record) member(id string) *member {
	if r == nil {
		return nil
	}
	for i := range r.Members {
		if r.Members[i].ID == id {
			return &r.Members[i]
		}
	}
	return nil
}

// add puts somebody in who is not there yet.
func (r *record) add(m member) {
	r.Came++
	m.Order = r.Came
	r.Members = append(r.Members, m)
	r.Emptied = time.Time{}
}

// remove takes somebody out, if he is there.
func (r *record) remove(id string, why Reason, to string, now time.Time) {
	i := slices.IndexFunc(r.Members, func(m member) bool { return m.ID == id })
	if i < 0 {
		return
	}
	r.Members = slices.Delete(r.Members, i, i+1)
	r.Gone = append(r.Gone, leaving{id, why, to})
	if over := len(r.Gone) - max(maxGone, r.Max); over > 0 {
		r.Gone = slices.Delete(r.Gone, 0, over)
	}
	if len(r.Members) == 0 {
		r.Emptied = now
	}
}

// why returns why somebody is not in the room any more. A room that is no more has forgotten: nobody is left to be told.
func (r *record) why(id string) leaving {
	if r != nil {
		for i := len(r.Gone) - 1; i >= 0; i-- {
			if r.Gone[i].ID == id {
				return r.Gone[i]
			}
		}
	}
	return leaving{ID: id, Reason: Left}
}

func (m *member) participant() Participant { return Participant{m.ID, m.Name, m.Joined} }

func (r *record) info(id broker.Token) Info {
	info := Info{ID: string(id), Name: r.Name, Max: r.Max, Created: r.Created, Participants: make([]Participant, 0, len(r.Members))}
	for i := range r.Members {
		info.Participants = append(info.Participants, r.Members[i].participant())
	}
	return info
}
