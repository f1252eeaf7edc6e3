package tenantchat

import (
	"github.com/go-json-experiment/json/jsontext"

	"parley/frontends/rest"
	"parley/internal/openapi"
)

// chatList is a part of a user's chats, the newest first.
type chatList struct {
	Chats     []chat `json:"chats"` // at most as many as were asked for
	rest.Page `json:",inline"`
}

// entryList is a part of what was said in a chat.
type entryList struct {
	Messages  []entry `json:"messages"` // at most as many as were asked for
	rest.Page `json:",inline"`
}

// newChat is the body of Create.
type newChat struct {
	User     string         `json:"user_id,omitempty"`  // whose chat it is; with an API key either here or in the header X-User-ID
	Title    string         `json:"title,omitempty"`    // for people, at most 256 bytes
	Metadata jsontext.Value `json:"metadata,omitempty"` // any JSON object
}

// Operations describes the endpoints of this dialect that are no WebSocket.
func Operations() []openapi.Operation {
	id := openapi.Parameter{Name: "id", About: "Id of the chat."}
	order := openapi.Parameter{Name: "order", About: "Whether the oldest comes first, which it does without, or the newest.", OneOf: []string{"asc", "desc"}}
	const chats, tag = "/api/v1/chats", "tenantchat"
	create := openapi.Operation{ID: "createChat", Method: "POST", Path: chats + "/", Tag: tag, Summary: "Make a chat for a user.", Body: openapi.Loose{Of: newChat{}}, Answers: map[int]any{201: chat{}}}
	bare := create
	bare.ID, bare.Path, bare.Summary = "createChatToo", chats, "The same as with a slash at the end."
	return []openapi.Operation{
		create, bare,
		{ID: "getChat", Method: "GET", Path: chats + "/{id}", Tag: tag, Summary: "Show a chat.", Parameters: []openapi.Parameter{id}, Answers: map[int]any{200: chat{}}},
		{ID: "deleteChat", Method: "DELETE", Path: chats + "/{id}", Tag: tag, Summary: "Remove a chat with all that was said in it.", Parameters: []openapi.Parameter{id}, Answers: map[int]any{204: nil}},
		{ID: "stopChat", Method: "POST", Path: chats + "/{id}/stop", Tag: tag, Summary: "End the answer that is being given.", Parameters: []openapi.Parameter{id}, Answers: map[int]any{204: nil}},
		{ID: "listChatMessages", Method: "GET", Path: chats + "/{id}/messages", Tag: tag, Summary: "List what was said in a chat.", Parameters: append([]openapi.Parameter{id, order}, rest.PageParameters()...), Answers: map[int]any{200: entryList{}}},
		{ID: "listChats", Method: "GET", Path: chats + "/user/{user_id}", Tag: tag, Summary: "List a user's chats, the newest first.", Parameters: append([]openapi.Parameter{{Name: "user_id", About: "Id of the user."}}, rest.PageParameters()...), Answers: map[int]any{200: chatList{}}},
	}
}
