package assistant

import "parley/internal/openapi"

// accessToken is the answer of AccessToken.
type accessToken struct {
	Token     string `json:"access_token"` // what Connect takes
	ExpiresIn int64  `json:"expires_in"`   // how long it is good for, in seconds
	Type      string `json:"token_type"`   // Bearer
}

// Operations describes the endpoints of this dialect that are no WebSocket.
func Operations() []openapi.Operation {
	return []openapi.Operation{
		{ID: "getAccessToken", Method: "GET", Path: "/websocket/get_access_token", Tag: "assistant", Summary: "Exchange a login token for an access token.", Answers: map[int]any{200: accessToken{}}},
	}
}
