package bots

import (
	"github.com/go-json-experiment/json/jsontext"

	"parley/frontends/rest"
	"parley/internal/openapi"
)

// sessionList is a part of the sessions, the newest first.
type sessionList struct {
	Sessions  []session `json:"sessions"` // at most as many as were asked for
	rest.Page `json:",inline"`
}

// newSession is the body of Create.
type newSession struct {
	User     string         `json:"user_id,omitempty"`  // whose session it is; only with an API key
	Bot      string         `json:"bot_id,omitempty"`   // whose workers are to answer. Defaults to the usual ones.
	Metadata jsontext.Value `json:"metadata,omitempty"` // any JSON object
}

// Operations describes the endpoints of this dialect that are no WebSocket.
func Operations() []openapi.Operation {
	id := openapi.Parameter{Name: "id", About: "Id of the session."}
	user := openapi.Parameter{Name: "user_id", About: "Only this user's; only with an API key."}
	reason := openapi.Parameter{Name: "reason", About: "Why, at most 128 bytes; without it, closed_by_user."}
	const all, tag = "/api/sessions", "bots"
	operations := []openapi.Operation{
		{ID: "listSessions", Method: "GET", Path: all, Summary: "List sessions, the newest first.", Parameters: append([]openapi.Parameter{user}, rest.PageParameters()...), Answers: map[int]any{200: sessionList{}}},
		{ID: "createSession", Method: "POST", Path: all, Summary: "Make a session.", Body: openapi.Loose{Of: newSession{}}, Answers: map[int]any{201: session{}}},
		{ID: "getSession", Method: "GET", Path: all + "/{id}", Summary: "Show a session.", Parameters: []openapi.Parameter{id}, Answers: map[int]any{200: session{}}},
		{ID: "closeSession", Method: "DELETE", Path: all + "/{id}", Summary: "Let nothing more be said in a session; what was said stays.", Parameters: []openapi.Parameter{id, reason}, Answers: map[int]any{204: nil}},
		{ID: "stopSession", Method: "POST", Path: all + "/{id}/stop", Summary: "End the answer that is being given.", Parameters: []openapi.Parameter{id}, Answers: map[int]any{204: nil}},
	}
	for i := range operations {
		operations[i].Tag, operations[i].Refusal = tag, rest.Refusal{}
	}
	return operations
}
