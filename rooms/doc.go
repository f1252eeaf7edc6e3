// Package rooms keeps meet rooms: who is in them, and the signals by which participants set up calls between each other.
// It never sees media.
//
// The nouns: a Hub is this node's access to all tenants' rooms; a Participant is somebody in a room, whatever happens to
// his connection meanwhile; a Seat is his place in the room on one connection, told by Notices to a Listener; a record is
// what the tenant's bucket says of a room. The record is changed by compare and set, so that all nodes see the same
// participants in the same order. A signal goes from the node of its sender to that of its target, and waits at the former
// until the latter has handed it over.
//
// It knows no wire format of clients. Everything exported may be called concurrently unless it says otherwise.
//
// Locks: a Hub's before a space's before a room's. Nothing is called and nothing is sent under a room's.
package rooms
