// Package chat speaks the dialect of a web chat with a streaming answer. docs/chat.md is its contract.
//
// The conversation on a socket, client first:
//
//	< {"type":"connection","message":"Connected to chatbot server","timestamp":…,"session_id":…}
//	> {"type":"chat","content":"Hello","timestamp":…}
//	< {"type":"stream-start","messageId":"msg_…","timestamp":…}
//	< {"type":"stream-token","messageId":"msg_…","token":"Hi","timestamp":…}      …
//	< {"type":"stream-end","messageId":"msg_…","timestamp":…,"status":"complete"}
//	> {"type":"human-escalation","reason":"Need human assistance","timestamp":…}
//	< {"type":"human-escalation-response","message":"A human agent will contact you soon.","timestamp":…}
//	> {"type":"ping"}
//	< {"type":"pong","timestamp":…}
//	< {"type":"error","message":"Invalid message format","timestamp":…,"code":"INVALID_FORMAT","detail":…}
package chat
