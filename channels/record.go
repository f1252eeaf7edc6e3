package channels

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"parley/broker"
)

// record is what one node says of an agent. It stays when the last socket goes, so that the agent remains known. There is
// one for every agent that is connected, which is why nothing in it is a map.
type record struct {
	Sockets  int         `json:"sockets"`
	Channels memberships `json:"channels,omitempty"`
	Status   Status      `json:"status,omitempty"`   // what the agent last said of itself on this node
	StatusAt time.Time   `json:"status_at,omitzero"` // and when
	Since    time.Time   `json:"since,omitzero"`     // when the first of its sockets came; kept when the last one goes
	Seen     time.Time   `json:"seen"`
}

// join counts one more socket in a channel.
func (r *record) join(channel broker.Name) {
	i, found := r.Channels.find(channel)
	if !found {
		r.Channels = slices.Insert(r.Channels, i, membership{channel, 0})
	}
	r.Channels[i].sockets++
}

// part takes join back.
func (r *record) part(channel broker.Name) {
	i, found := r.Channels.find(channel)
	if !found {
		return
	}
	if r.Channels[i].sockets--; r.Channels[i].sockets <= 0 {
		r.Channels = slices.Delete(r.Channels, i, i+1)
	}
}

// memberships are the channels that sockets of an agent are subscribed to, sorted. In JSON they are an object of numbers.
type memberships []membership

type membership struct {
	channel broker.Name
	sockets int
}

func (m memberships) find(channel broker.Name) (int, bool) {
	return slices.BinarySearchFunc(m, channel, func(m membership, n broker.Name) int { return strings.Compare(string(m.channel), string(n)) })
}

// MarshalJSON writes an object.
func (m memberships) MarshalJSON() ([]byte, error) {
	object := make(map[broker.Name]int, len(m))
	for _, in := range m {
		object[in.channel] = in.sockets
	}
	return json.Marshal(object)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *memberships) UnmarshalJSON(text []byte) error {
	var object map[broker.Name]int
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	*m = make(memberships, 0, len(object))
	for channel, sockets := range object {
		*m = append(*m, membership{channel, sockets})
	}
	slices.SortFunc(*m, func(a, b membership) int { return strings.Compare(string(a.channel), string(b.channel)) })
	return nil
}

// sighting is a node with what it says of an agent.
type sighting struct {
	node broker.Token
	record
}

// sightings are what the nodes say of one agent: few, and nearly always one.
type sightings []sighting

// of returns the record of a node, nil when it has none. It is valid until the next set or drop.
func (s sightings) of(node broker.Token) *record {
	for i := range s {
		if s[i].node == node {
			return &s[i].record
		}
	}
	return nil
}

func (s sightings) set(node broker.Token, r record) sightings {
	if own := s.of(node); own != nil {
		*own = r
		return s
	}
	return append(slices.Grow(s, 1), sighting{node, r})
}

func (s sightings) drop(node broker.Token) sightings {
	return slices.DeleteFunc(s, func(o sighting) bool { return o.node == node })
}

// here returns whether the agent is here, and since when without a break, by what the living nodes say. A node that it has
// left counts for the time that it was there.
func (s sightings) here(alive func(broker.Token) bool) (since time.Time, here bool) {
	for i := range s {
		if s[i].Sockets > 0 && alive(s[i].node) && (!here || s[i].Since.Before(since)) {
			since, here = s[i].Since, true
		}
	}
	for again := here; again; {
		again = false
		for i := range s {
			if !s[i].Since.IsZero() && s[i].Since.Before(since) && !s[i].Seen.Before(since) && alive(s[i].node) {
				since, again = s[i].Since, true
			}
		}
	}
	return since, here
}
