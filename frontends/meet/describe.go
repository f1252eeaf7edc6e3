package meet

import (
	"parley/frontends/rest"
	"parley/internal/openapi"
)

// newRoom is the body of Create.
type newRoom struct {
	Room string `json:"room_id,omitempty"`          // 1 to 64 characters of A-Z a-z 0-9 _ and -. Defaults to a fresh one.
	Name string `json:"name,omitempty"`             // for people
	Max  int    `json:"max_participants,omitempty"` // how many it takes. Defaults to 16.
}

// madeRoom is the answer of Create.
type madeRoom struct {
	Room    string `json:"room_id"`          // id of the room
	URL     string `json:"join_url"`         // where a person with a browser joins
	Token   string `json:"token"`            // with which guests join this room
	Expires string `json:"expires_at"`       // when the token ends, RFC 3339
	Name    string `json:"name,omitzero"`    // for people
	Max     int    `json:"max_participants"` // how many it takes
}

// roomPeople is the answer of Participants.
type roomPeople struct {
	Room   string   `json:"room_id"`          // id of the room
	Name   string   `json:"name,omitzero"`    // for people
	Max    int      `json:"max_participants"` // how many it takes
	People []person `json:"participants"`     // who is in it
}

// Operations describes the endpoints of this dialect that are no WebSocket.
func Operations() []openapi.Operation {
	const all, tag = "/api/meet/rooms", "meet"
	return []openapi.Operation{
		{ID: "createRoom", Method: "POST", Path: all, Tag: tag, Summary: "Make a room, and a token for guests; one that is there already is shown.", Body: openapi.Loose{Of: newRoom{}}, Answers: map[int]any{201: madeRoom{}, 200: madeRoom{}}, Refusal: rest.Refusal{}},
		{ID: "listParticipants", Method: "GET", Path: all + "/{id}/participants", Tag: tag, Summary: "List who is in a room.", Parameters: []openapi.Parameter{{Name: "id", About: "Id of the room."}}, Answers: map[int]any{200: roomPeople{}}, Refusal: rest.Refusal{}},
	}
}
