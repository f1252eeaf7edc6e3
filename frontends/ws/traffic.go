package ws

// Traffic is what has gone over a connection since it was made.
type Traffic struct {
	Received      uint64 // messages from the peer
	ReceivedBytes uint64 // of these messages
	Sent          uint64 // messages that were accepted for the peer
	SentBytes     uint64 // that the kernel has taken for the peer, all frames and their headers
}

// Minus returns what t has and u has not, where u is an earlier state of the same connection.
func (t Traffic) Minus(u Traffic) Traffic {
	return Traffic{t.Received - u.Received, t.ReceivedBytes - u.ReceivedBytes, t.Sent - u.Sent, t.SentBytes - u.SentBytes}
}

// Plus returns the sum of both.
func (t Traffic) Plus(u Traffic) Traffic {
	return Traffic{t.Received + u.Received, t.ReceivedBytes + u.ReceivedBytes, t.Sent + u.Sent, t.SentBytes + u.SentBytes}
}

// Traffic returns what has gone over the connection so far. It may be called at any time from anywhere.
func (c *Conn) Traffic() Traffic {
	t := Traffic{Received: c.keep.messages.Load(), ReceivedBytes: c.keep.bytes.Load()}
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Sent, t.SentBytes = c.sent, c.flushed
	return t
}

// messagesIn counts the messages in whole server frames, each of which is a message or a control frame. It looks at the
// headers only.
func messagesIn(frames []byte) (n uint64) {
	for len(frames) > 0 {
		if frames[0]&opMask < opClose {
			n++
		}
		frames = frames[frameSize(frames):]
	}
	return n
}
