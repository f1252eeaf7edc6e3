// Package tenantchat speaks the dialect of back ends that embed chat with an API key: one chat a WebSocket, and chats over
// REST. docs/tenantchat.md is its contract.
//
// The conversation on a socket that was opened with ?api_key=…&user_id=user123&chat_id=…, client first:
//
//	< {"event_type":"connection_established","timestamp":…,"user_id":"user123","chat_id":…,"tenant_id":…}
//	< {"event_type":"user_created","timestamp":…,"user_id":"user123"}          the first time that the user is seen
//	> {"content":"Hello","metadata":{"category":"billing"}}
//	< {"event_type":"message_received","timestamp":…,"message_id":…,"chat_id":…,"user_id":…,"content":"Hello",…}
//	< {"event_type":"message_stream_started","timestamp":…,"chat_id":…,"user_id":…}
//	< {"event_type":"message_stream_token","timestamp":…,"chat_id":…,"token":"Hi"}
//	< {"event_type":"message_stream_ended","timestamp":…,"message_id":…,"chat_id":…,"user_id":…,"content":"Hi"}
//	> nonsense
//	< {"event_type":"error","timestamp":…,"error_code":"INVALID_FORMAT","error_message":…,"details":{"fix":…}}
//
// All sockets of a chat get the same. Who may not come in is told so on the open connection, which then ends with 1008.
package tenantchat
