package broker

import "strings"

// RoomEvent is where services learn what happens in a room. It is not stored.
func RoomEvent(room Token) Subject { return roomSubject(room, "event") }

// RoomDo is where services have something done in a room.
func RoomDo(room, verb Token) Subject { return roomSubject(room, "do."+string(verb)) }

// RoomGateway is where a node takes what the others have for a room's participants that are connected to it.
func RoomGateway(room, node Token) Subject { return rootGateway + roomSubject(room, string(node)) }

func roomSubject(room Token, what string) Subject {
	return Subject(rootMeet + string(room) + "." + what)
}

// Room returns the room that s is about and what it is: "event" or "do.<verb>", and on a RoomGateway the node.
func (s Subject) Room() (room Token, what string, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(string(s), rootGateway), rootMeet)
	if !ok {
		return "", "", false
	}
	id, what, ok := strings.Cut(rest, ".")
	return Token(id), what, ok && validToken(id)
}
