// Package bots speaks the dialect of bot sessions: any number of sessions on one WebSocket, with typing and tools, and
// sessions over REST. docs/bots.md is its contract.
//
// The conversation on a socket, client first:
//
//	> {"type":"auth","token":…}                              within ten seconds, unless the token is in the URL
//	> {"type":"message","content":"Hello"}                    without session_id: in a session of its own
//	< {"type":"session_created","session_id":…}
//	< {"type":"bot_typing","session_id":…,"is_typing":true}
//	< {"type":"stream_start","session_id":…,"message_id":…}
//	< {"type":"stream_chunk","message_id":…,"content":"Hi ",…}
//	< {"type":"tool_call","session_id":…,"tool":…,"arguments":…}
//	< {"type":"tool_result","session_id":…,"tool":…,"result":…}
//	< {"type":"stream_chunk","message_id":…,"content":"there",…}
//	< {"type":"stream_end","message_id":…,"content":"Hi there",…}
//	< {"type":"bot_typing","session_id":…,"is_typing":false}
//	> {"type":"subscribe","payload":{"session_id":…}}          the other form of every frame
//	< {"type":"message","session_id":…,"message_id":…,"role":"user","content":…,"timestamp":…}   typed on another socket
//	> nonsense
//	< {"type":"error","code":"INVALID_FORMAT","message":…}
package bots
