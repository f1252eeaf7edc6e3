// Package ws is the WebSocket engine under all dialects: it upgrades HTTP requests, reads messages, sends frames that were
// encoded once and are shared by any number of connections, keeps connections alive and ends them. It knows nothing of
// tenants, tokens or JSON.
//
// The nouns: a [Set] owns the connections of one edge, every goroutine they need, and the one sweeper that looks after all
// of them ([Set.Run]). [Set.Accept] makes a [Conn] and runs its handler on a goroutine, the reader, which the connection of a
// silent peer need not have ([Options.Done]): then one poller waits for all of them. [Conn.Send] takes bytes that [AppendText] framed; it never blocks: what the kernel does not take at once waits
// in a queue bounded in bytes, which a writer goroutine drains while there is something to drain. A peer that lets the
// queue overflow is cut off as slow. However a connection ends, a [CloseError] says how.
//
// github.com/coder/websocket parses what the peer sends and answers control frames; all of that happens on the reader. It
// is there only while there is something to read (attach.go). Its writes pass through the same queue as ours (wire.go), so frames never interleave, and
// nothing is ever sent behind a close frame.
//
// Everything here is safe for concurrent use, except [Conn.ReadMessage] and [Conn.Pending], which belong to the handler.
package ws
