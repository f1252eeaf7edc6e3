package ws

import "context"

// Send sends b, which must be one or more whole server frames (see [AppendText]), in the order of the calls. It keeps b
// until it was sent and never changes it: neither may the caller, but any number of connections may share it.
//
// Send does not wait. When nothing is queued it tries one write in the calling goroutine; what the kernel does not take is
// queued and sent by a goroutine that ends with the backlog. Many messages for one connection are best joined in one b:
// a Send costs one system call, or none if an earlier one is still at work.
//
// If more than [Options.QueueBytes] would wait behind the piece being sent, the peer is cut off as slow and Send returns
// ErrSlow. That piece itself may be of any size. On a connection that is ending Send returns ErrClosed. nil says that b was
// queued, not that it arrived.
func (c *Conn) Send(b []byte) error {
	c.mu.Lock()
	err := c.push(b)
	write := c.claim()
	c.mu.Unlock()
	if write {
		c.writeOnce()
	}
	return err
}

// Queue is Send without the write: b waits until the next Send or Flush. A dispatcher that delivers several pieces to one
// connection calls Queue for each, then Flush.
func (c *Conn) Queue(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.push(b)
}

// Flush sends what Queue has left, as Send would.
func (c *Conn) Flush() {
	c.mu.Lock()
	write := c.claim()
	c.mu.Unlock()
	if write {
		c.writeOnce()
	}
}

// Queued returns how many bytes the connection has accepted, control frames included.
func (c *Conn) Queued() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued
}

// Flushed returns how many of the bytes counted by Queued the kernel has taken. What Queued returned after a Send is
// reached by Flushed when that Send's bytes have left this process. It stays behind for ever if the connection is cut off.
func (c *Conn) Flushed() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flushed
}

// Backlog returns how many bytes are queued.
func (c *Conn) Backlog() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.size
}

// AwaitBacklog waits until at most n bytes are queued, so that a replay can go at the peer's pace instead of overflowing
// the queue. It returns ErrClosed when the connection ends, and ctx's error when ctx does.
func (c *Conn) AwaitBacklog(ctx context.Context, n int) error {
	for {
		c.mu.Lock()
		if c.end.why != nil {
			c.mu.Unlock()
			return ErrClosed
		}
		if c.queue.size <= n {
			c.mu.Unlock()
			return nil
		}
		progress := c.awaitProgress()
		c.mu.Unlock()
		c.Flush()
		select {
		case <-progress:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// push queues b, or cuts the peer off. mu is held.
func (c *Conn) push(b []byte) error {
	switch {
	case c.end.why != nil:
		return ErrClosed
	case len(b) == 0:
		return nil
	case c.queue.cur != nil && c.queue.waiting()+len(b) > c.queueLimit:
		c.beginClose(c.slow.why(), true)
		return ErrSlow
	}
	c.queued += uint64(len(b))
	c.sent += messagesIn(b)
	c.queue.push(b, c.set.pools)
	return nil
}

// claim makes the caller the one who writes, if there is something to write and nobody does. mu is held.
func (c *Conn) claim() bool {
	if c.writing || c.queue.size == 0 {
		return false
	}
	c.writing = true
	return true
}

// writeOnce tries one write without waiting, and leaves what remains to the writer goroutine. The caller has claimed.
func (c *Conn) writeOnce() {
	var err error
	if c.raw != nil {
		err = c.raw.Control(c.attempt) // which is less than Write, whose poller is not needed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.breakOff(err)
	}
	if c.queue.size == 0 {
		c.writing = false
		c.notify()
		return
	}
	c.set.running.Go(c.drain)
}

// drain is the writer goroutine. It ends when the queue is empty, which a failure of the socket makes it.
func (c *Conn) drain() {
	for {
		c.mu.Lock()
		if c.queue.size == 0 {
			c.writing = false
			c.notify()
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		if err := c.drainSocket(); err != nil {
			c.mu.Lock()
			c.breakOff(err)
			c.mu.Unlock()
		}
	}
}

func (c *Conn) drainSocket() error {
	if c.raw != nil {
		return c.raw.Write(c.writeAll)
	}
	b, buf := c.take()
	if len(b) == 0 {
		return nil
	}
	n, err := c.net.Write(b)
	c.took(n, buf, nil)
	return err
}

// writeAttempt writes once.
func (c *Conn) writeAttempt(fd uintptr) { c.writeTo(fd) }

// writeAll writes until the queue is empty, or until the kernel takes no more; then the poller calls it again when there
// is room. No buffer is held meanwhile.
func (c *Conn) writeAll(fd uintptr) bool {
	for c.writeTo(fd) {
	}
	return !wouldBlock(c.writeErr)
}

// writeTo makes one system call and reports whether another one could follow.
func (c *Conn) writeTo(fd uintptr) bool {
	b, buf := c.take()
	if len(b) == 0 {
		c.writeErr = nil
		return false
	}
	n, err := send(fd, b)
	c.writeErr = err
	return c.took(n, buf, err)
}

// take returns what to write next, if there is anything: then took must follow.
func (c *Conn) take() ([]byte, *chunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight = c.queue.size > 0
	return c.queue.gather(c.set.pools)
}

// took records that the kernel has taken n bytes. An error other than a full buffer breaks the connection.
func (c *Conn) took(n int, buf *chunk, err error) bool {
	c.set.pools.putChunk(buf)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight = false
	if !c.end.cut {
		c.flushed += uint64(n)
	}
	c.queue.advance(n, c.set.pools)
	if err != nil && !wouldBlock(err) {
		c.breakOff(err)
	}
	switch {
	case c.end.broken:
		c.queue.drop(c.set.pools)
	case c.end.frame != nil:
		c.cutQueue(c.end.frame)
		c.end.frame = nil
	}
	c.notify()
	return err == nil && c.queue.size > 0
}
