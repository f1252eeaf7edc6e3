package agents

import (
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/openapi"
)

// agentList is the answer of Agents.
type agentList struct {
	Agents []agentView `json:"agents"` // all that were seen
}

// historyPage is the answer of Messages: a part of what a channel holds, the oldest first.
type historyPage struct {
	Channel  string           `json:"channel_id"`   // name of the channel
	Messages []jsontext.Value `json:"messages"`     // as they are delivered over WebSocket
	Next     *uint64          `json:"next"`         // the since of the next page
	More     *bool            `json:"more"`         // whether there is one
	Gap      *gapView         `json:"gap,omitzero"` // what is missing behind since, because it is no longer kept
}

// published is the answer of Publish: the message is on disk.
type published struct {
	Type      string  `json:"type"`               // ACK
	MessageID string  `json:"message_id"`         // that was given, or a fresh one
	Timestamp string  `json:"timestamp"`          // of the message, RFC 3339
	Channel   string  `json:"channel_id"`         // name of the channel
	Seq       *uint64 `json:"seq,omitzero"`       // where it stands in the channel's store; absent in ephemeral channels
	Duplicate bool    `json:"duplicate,omitzero"` // a message with this id was there already, and this one was left out
	Stored    *bool   `json:"stored,omitzero"`    // false in ephemeral channels
}

// post is the body of Publish: a frame as over WebSocket, whose other members are passed on with it.
type post struct {
	Type      string         `json:"type,omitempty"`       // message, or a type of your own. Defaults to message.
	MessageID string         `json:"message_id,omitempty"` // a repetition with the same id is stored once. Defaults to a fresh one.
	Content   jsontext.Value `json:"content,omitempty"`    // any JSON value
}

// Operations describes the endpoints of this dialect that are no WebSocket.
func Operations() []openapi.Operation {
	agent := openapi.Parameter{Name: "agent", About: "Id of the agent."}
	channel := openapi.Parameter{Name: "channel", About: "Name of the channel."}
	since := openapi.Parameter{Name: "since", About: "What is behind this sequence, or not older than this RFC 3339 time; without it, the newest."}
	limit := openapi.Parameter{Name: "limit", About: "At most so many.", Number: true}
	const tag = "agents"
	return []openapi.Operation{
		{ID: "listAgents", Method: "GET", Path: "/v1/agents", Tag: tag, Summary: "List the tenant's agents that were seen.", Answers: map[int]any{200: agentList{}}},
		{ID: "getAgent", Method: "GET", Path: "/v1/agents/{agent}", Tag: tag, Summary: "Show an agent.", Parameters: []openapi.Parameter{agent}, Answers: map[int]any{200: agentView{}}},
		{ID: "listMessages", Method: "GET", Path: "/v1/channels/{channel}/messages", Tag: tag, Summary: "List what a channel holds, the oldest first.", Parameters: []openapi.Parameter{channel, since, limit}, Answers: map[int]any{200: historyPage{}}},
		{ID: "publish", Method: "POST", Path: "/v1/channels/{channel}/messages", Tag: tag, Summary: "Publish a message; it is on disk when the answer comes.", Parameters: []openapi.Parameter{channel}, Body: openapi.Loose{Of: post{}}, Answers: map[int]any{201: published{}, 200: published{}}},
	}
}
