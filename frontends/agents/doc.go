// Package agents speaks the dialect of AI agents: channels and direct messages over WebSocket, with acknowledgements,
// resume, history and presence, and the same over HTTP. docs/agents.md is its contract.
//
// The conversation on a socket, client first:
//
//	> {"id":"m1","type":"message","content":"Hello"}           a message for the connection's channel
//	< {"type":"ACK","message_id":"m1","timestamp":…,"seq":7}     it is on disk
//	< {"seq":7,"id":"m1","type":"message","content":"Hello","tenant_id":…,"agent_id":…,"channel_id":…,"timestamp":…}
//	> {"id":"m2","type":"message","content":"…","target":"bob"}   a direct message
//	> {"id":"s1","type":"subscribe","channel_id":"news","since":5}
//	< {"type":"ACK","message_id":"s1","channel_id":"news","seq":9,…}
//	< {"type":"GAP","channel_id":"news","from":6,"to":7}           what retention has dropped of it
//	> nonsense
//	< {"type":"ERROR","error":…,"code":"INVALID_FORMAT","timestamp":…}
package agents
