package ws

import "context"

// takeControls answers the pings and takes the pongs at the head of the input. The library would do the same, but then wait
// for a message deep in its calls, where it can't be told to let go. What is not a whole and proper control frame is left
// to it.
func (c *Conn) takeControls() {
	for c.parking.poller != nil {
		head := c.in
		buffered := 0
		if c.wire != nil {
			buffered = c.wire.br.Buffered()
		}
		if buffered > 0 {
			head, _ = c.wire.br.Peek(buffered) // it is there, so it can be peeked at
		}
		op, payload, size := wholeControl(head)
		if size == 0 {
			return
		}
		var pong []byte
		if op != opPong { // while the payload is there
			pong = append([]byte{finPong, byte(len(payload))}, payload...)
		}
		if buffered > 0 {
			_, _ = c.wire.br.Discard(size) // as above
		} else if c.in = c.in[size:]; len(c.in) == 0 {
			c.releaseInput()
		}
		switch {
		case op == opPong:
			c.onPong(context.Background(), nil)
		case c.onPing(context.Background(), nil):
			_ = c.Send(pong) // a connection that ends needs no pong
		}
	}
}

// wholeControl returns what kind of frame b begins with, its payload, unmasked in its place, and its size, if that is a
// ping or pong that a client may send (RFC 6455, sections 5.2 and 5.5) and all there; else the size is 0.
func wholeControl(b []byte) (op byte, payload []byte, size int) {
	const header = 2 + 4
	if len(b) < header || b[0] != finPing && b[0] != finPong || b[1]&maskBit == 0 {
		return 0, nil, 0
	}
	n := int(b[1] &^ maskBit)
	if size = header + n; n > maxShort || len(b) < size {
		return 0, nil, 0
	}
	mask, payload := b[2:header], b[header:size]
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return b[0] & opMask, payload, size
}
