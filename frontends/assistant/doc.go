// Package assistant speaks the dialect of a browser page that exchanges a login token and holds conversations with an
// assistant. docs/assistant.md is its contract.
//
// The conversation on a socket, client first:
//
//	> {"type":"conversation_with_aileen","message":"Hello","conversation_id":"c-1","request_id":"r-1"}
//	< {"type":"conversation_with_aileen","response":{"is_final":false,"data":{"meta":{"conversation_id":"c-1"},
//	   "follow_up_questions":null,"delta":"Hi","delta_generation_finished":false},"request_id":"r-1"}}             …
//	< {"type":"conversation_with_aileen","response":{"is_final":true,"data":{"meta":{"conversation_id":"c-1"},
//	   "follow_up_questions":["Why?"],"delta":"","delta_generation_finished":true},"request_id":"r-1","status":"complete"}}
//	< {"type":"ping"}
//	> {"type":"pong"}
package assistant
