package ws

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is one WebSocket connection. It lives as long as its handler (see [Set.Accept]), which need not close it: a Conn is
// closed when its handler has returned.
//
// Send, Queue, Flush, Close, CloseNow and the getters may be called at any time from anywhere, and none of them waits for
// the peer.
type Conn struct {
	set  *Set
	id   uint64          // in the set
	wire *wire           // to the library; nil while there is nothing to read. Used by the reader only.
	net  net.Conn        // what was hijacked
	raw  syscall.RawConn // net's descriptor; nil when there is none to use, as with TLS

	handle, done func(*Conn) // done may be nil

	queueLimit int
	origin     string
	slow       slowClose

	reader       // touched by the reader goroutine only
	keep   watch // what the sweeper looks at

	attempt  func(fd uintptr) // writeAttempt, bound once
	writeErr error            // of the last system call; belongs to whoever has set writing

	mu       sync.Mutex
	queue    queue         // guarded by mu
	writing  bool          // guarded by mu: somebody is writing, or the writer goroutine is running
	inFlight bool          // guarded by mu: bytes of the queue are in a system call
	queued   uint64        // guarded by mu
	flushed  uint64        // guarded by mu
	sent     uint64        // messages that were queued; guarded by mu
	progress chan struct{} // guarded by mu; closed when the queue shrinks or the writer ends. nil when nobody waits.
	end      ending        // guarded by mu
	pause    chan struct{} // guarded by mu; closed when the connection ends. nil unless its handler is in Pause.
	expiry   expiry        // guarded by mu
	swept    swept         // guarded by mu
	parking  parking       // guarded by mu
}

// slowClose is how a peer that reads too slowly is told so.
type slowClose struct {
	code   Code
	reason string
}

func (s slowClose) why() *CloseError {
	return &CloseError{Code: s.code, Reason: s.reason, Err: ErrSlow}
}

// reader is the state of the goroutine that reads.
type reader struct {
	messageLimit int

	in       []byte // read from the socket, not yet asked for
	inChunk  *chunk // what in lies in; nil when in was read by the HTTP server
	fill     func(fd uintptr) bool
	dst      []byte // where fill is to put what it reads
	dstN     int
	readErr  error    // the first failure of the socket
	message  *message // what ReadMessage returned last lies in it
	received int64    // bytes handed to the library
	ceiling  int64    // received must not exceed it. Zero means no limit: between messages.
	pings    rate
	brief    bool // no message has come since the goroutine began
	once     bool // fill does not wait
	silent   bool // ReadMessage has failed with ErrSilent
}

// ending is how far the end of a connection has come. Its zero value is an open connection.
type ending struct {
	why    *CloseError // set once; nil while the connection is open. A close frame is queued, unless broken.
	local  bool        // why came from this side
	peer   bool        // the peer's close frame has come
	cut    bool        // what was queued has been dropped, so that no more of it counts as flushed
	broken bool        // the socket has failed or was given up: nothing more is written
	frame  []byte      // a close frame to be queued when the write in flight is over and the queue was cut
	by     time.Time   // when to stop waiting for the peer
}

// watch is what the reader tells the others; times are nanoseconds of the set's clock.
type watch struct {
	heard   atomic.Int64 // the last message or pong
	message atomic.Int64 // the beginning of the message being read; 0 between messages

	messages, bytes atomic.Uint64 // that were read: see Traffic
}

// RemoteAddr returns the address at the other end of the socket, which may be a proxy's.
func (c *Conn) RemoteAddr() net.Addr { return c.net.RemoteAddr() }

// Origin returns the origin of the page that has opened the connection, "" when none has. See package origin.
func (c *Conn) Origin() string { return c.origin }

// Closed returns how the connection ended, and nil while it takes data.
func (c *Conn) Closed() *CloseError {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end.why
}

// Close starts the graceful end: no more data is taken, what is queued is sent, then a close frame with code and reason,
// and the peer gets up to [Config.CloseWithin] to take it all and to close its side. Close does not wait for that. A
// ReadMessage that is waiting returns at once. The first end counts, whoever began it: later calls do nothing. The reason
// is cut to 123 bytes; a code that must not be sent becomes InternalError.
func (c *Conn) Close(code Code, reason string) {
	if !code.sendable() {
		code = InternalError
	}
	c.close(&CloseError{Code: code, Reason: cleanReason(reason)}, false)
}

// Cut is Close for a peer that is to hear no more: what is queued is dropped, but for the rest of a frame that it has
// begun to read.
func (c *Conn) Cut(code Code, reason string) {
	if !code.sendable() {
		code = InternalError
	}
	c.close(&CloseError{Code: code, Reason: cleanReason(reason)}, true)
}

// CloseNow ends the connection without telling the peer. What is queued is lost.
func (c *Conn) CloseNow() {
	c.mu.Lock()
	c.breakOff(net.ErrClosed)
	c.mu.Unlock()
	c.closeSocket()
}

// fail cuts off a peer that does not read. It gets the close frame if it begins to read again in time.
func (c *Conn) fail() { c.close(c.slow.why(), true) }

func (c *Conn) close(why *CloseError, cut bool) {
	c.mu.Lock()
	c.beginClose(why, cut)
	write := c.claim()
	c.mu.Unlock()
	if write {
		c.writeOnce()
	}
}

// beginClose makes an open connection a closing one: it queues the close frame, instead of what is queued if cut, sets
// the deadline of the writer and wakes the reader. mu is held.
func (c *Conn) beginClose(why *CloseError, cut bool) {
	if c.end.why != nil {
		return
	}
	c.end.local = true
	c.beginEnd(why, closeFrame(why.Code, why.Reason), cut)
	_ = c.net.SetReadDeadline(time.Unix(1, 0)) // a connection that fails here fails in its next read as well
}

// beginEnd records why an open connection ends and queues the last frame it will send. mu is held.
func (c *Conn) beginEnd(why *CloseError, frame []byte, cut bool) {
	c.end.why = why
	c.resume()
	c.end.by = time.Now().Add(c.set.cfg.CloseWithin)
	c.unpark()
	_ = c.net.SetWriteDeadline(c.end.by) // as above
	switch {
	case cut && c.inFlight:
		c.end.frame = frame
	case cut:
		c.cutQueue(frame)
	default:
		c.queued += uint64(len(frame))
		c.queue.push(frame, c.set.pools)
	}
}

// cutQueue drops what is queued in favour of a close frame. mu is held and no write is in flight.
func (c *Conn) cutQueue(frame []byte) {
	c.end.cut = true
	c.queue.cut(c.set.pools)
	c.queue.push(frame, c.set.pools)
}

// breakOff gives the socket up: whatever is queued is dropped. mu is held.
func (c *Conn) breakOff(cause error) {
	if c.end.why == nil {
		c.end.why = &CloseError{Code: Abnormal, Reason: "connection lost", Err: cause}
		c.resume()
	}
	c.end.broken = true
	c.end.frame = nil
	c.unpark()
	if !c.inFlight {
		c.queue.drop(c.set.pools)
	}
	_ = c.net.SetDeadline(time.Unix(1, 0)) // wakes the writer, who ends, and the reader, who closes the socket
}

// closeSocket closes the descriptor without a word to the peer. TLS would first try to send an alert, and wait.
func (c *Conn) closeSocket() {
	nc := c.net
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = t.NetConn()
	}
	_ = nc.Close() // closed twice at worst
}

// finish ends the connection after its handler has returned. It takes at most about [Config.CloseWithin] and leaves
// neither goroutine nor descriptor behind.
func (c *Conn) finish() {
	c.Close(Normal, "")
	c.releaseInput()
	c.releaseMessage()
	c.awaitWriter()
	c.mu.Lock()
	end := c.end
	c.mu.Unlock()
	if !end.broken {
		c.linger(end)
	}
	c.detach()
	c.closeSocket()
	c.awaitWriter()
}

// linger ends our side of the stream and reads the peer's to its end, unseen. Closing at once would make the kernel reset
// the connection if the peer had sent anything more, and the peer could lose the close frame.
func (c *Conn) linger(end ending) {
	if h, ok := c.net.(interface{ CloseWrite() error }); !ok || h.CloseWrite() != nil {
		return
	}
	if end.peer || c.net.SetReadDeadline(end.by) != nil { // a peer that has closed sends no more
		return
	}
	if c.raw != nil {
		_ = c.raw.Read(c.discard) // ends with the peer or at the deadline; both are well
		return
	}
	buf := make([]byte, 512)
	for {
		if _, err := c.net.Read(buf); err != nil {
			return
		}
	}
}

// discard reads until nothing is there, and reports whether nothing more can come.
func (c *Conn) discard(fd uintptr) bool {
	buf := c.set.pools.chunk()
	defer c.set.pools.putChunk(buf)
	for {
		n, err := receive(fd, buf[:])
		if wouldBlock(err) {
			return false
		}
		if err != nil || n == 0 {
			return true
		}
	}
}

// awaitWriter returns when nobody is writing. It ends by the write deadline that every ending connection has.
func (c *Conn) awaitWriter() {
	for {
		c.mu.Lock()
		if !c.writing {
			c.mu.Unlock()
			return
		}
		ch := c.awaitProgress()
		c.mu.Unlock()
		<-ch
	}
}

// awaitProgress returns a channel that is closed when the queue shrinks or the writer ends. mu is held.
func (c *Conn) awaitProgress() <-chan struct{} {
	if c.progress == nil {
		c.progress = make(chan struct{})
	}
	return c.progress
}

// notify wakes all who wait for progress. mu is held.
func (c *Conn) notify() {
	if c.progress != nil {
		close(c.progress)
		c.progress = nil
	}
}
