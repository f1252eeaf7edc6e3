// Package sessions keeps conversations between users, AI workers and the humans who take over. A session has one ordered
// log, in the tenant's account; every client protocol is an encoder of it, so that a conversation can be typed in one
// and watched in another, and an answer that is streaming goes on whatever happens to a client, a worker or a node.
//
// The nouns: a Hub is this node's access to all tenants' sessions; an Event is one entry of a log; a State is what the
// log says of the present; a Follower is told a session's events in their order; a Principal is who wants something. At
// any moment one node at most writes a log: its writer decides what is said, which answer runs, and whose turn it is.
//
// It knows no wire format of clients. Everything exported may be called concurrently unless it says otherwise.
package sessions
