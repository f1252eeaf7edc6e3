// Package meet speaks the dialect of meetings: WebRTC signalling in rooms on a WebSocket, and rooms over REST. docs/meet.md
// is its contract. Media never passes here.
//
// The conversation on a socket, client first:
//
//	> {"type":"auth","token":…}                                within ten seconds, unless the token is in the URL
//	> {"type":"join","room_id":"standup","participant_name":"John"}
//	< {"type":"joined","room_id":"standup","participant_id":…,"resume_token":…,"participants":[…],"ice_servers":[…]}
//	< {"type":"participant_joined","room_id":"standup","participant":{"participant_id":…,"polite":false,…}}
//	> {"type":"signal","room_id":"standup","target_id":…,"signal":{…}}
//	< {"type":"signal","room_id":"standup","sender_id":…,"polite":false,"seq":1,"signal":{…}}
//	> {"type":"leave","room_id":"standup"}
//	< {"type":"participant_left","room_id":"standup","participant":{…},"reason":"left"}
//	> nonsense
//	< {"type":"error","code":"INVALID_FORMAT","message":…}
package meet
