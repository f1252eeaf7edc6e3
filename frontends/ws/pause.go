package ws

import "time"

// Pause returns when d has passed, or when the connection ends if that is before. While the handler does not read, the
// peer's messages wait in the sockets of both sides, and then in the peer: TCP holds it back. Its pings and close frames wait
// with them, so that a pause should be short against [Config.IdleAfter]. Only the handler may call it.
func (c *Conn) Pause(d time.Duration) {
	if d <= 0 {
		return
	}
	c.mu.Lock()
	if c.end.why != nil {
		c.mu.Unlock()
		return
	}
	over := make(chan struct{})
	c.pause = over
	c.mu.Unlock()
	after := time.NewTimer(d)
	defer after.Stop()
	select {
	case <-after.C:
	case <-over:
	}
	c.mu.Lock()
	c.pause = nil
	c.mu.Unlock()
}

// resume ends a pause. mu is held.
func (c *Conn) resume() {
	if c.pause != nil {
		close(c.pause)
		c.pause = nil
	}
}
