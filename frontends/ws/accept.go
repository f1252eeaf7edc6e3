package ws

import (
	"fmt"
	"net/http"
	"strings"

	"parley/internal/origin"
)

// Options are the terms of one connection. The zero value is ready to use.
type Options struct {
	// Subprotocol is chosen if the client offers it. "" means none.
	Subprotocol string

	QueueBytes   int // bytes that may wait behind the piece being sent: see Conn.Send. Defaults to 1 MiB.
	MessageLimit int // bytes in a message. Defaults to 64 KiB. HardLimit is the most.

	// Open is called before handle, by Accept's caller, which has the stack for it: what grew for it once, a connection's own
	// goroutine would keep while it waits. Nothing has been read yet. Defaults to nothing.
	Open func(*Conn)

	// Done is called when the connection has ended and handle has returned for the last time. A connection with Done has no
	// goroutine while its peer is silent: handle is called when there is something to read, returns when ReadMessage fails,
	// and is called again if that was with ErrSilent. Defaults to nothing.
	Done func(*Conn)

	SlowCode   Code   // tells a slow peer so. Defaults to TryLater.
	SlowReason string // Defaults to "slow consumer; resume with since".
}

func (o Options) withDefaults() Options {
	if o.QueueBytes == 0 {
		o.QueueBytes = 1 << 20
	}
	if o.MessageLimit == 0 {
		o.MessageLimit = 64 << 10
	}
	o.MessageLimit = min(o.MessageLimit, HardLimit)
	if !o.SlowCode.sendable() {
		o.SlowCode = TryLater
	}
	if o.SlowReason == "" {
		o.SlowReason = "slow consumer; resume with since"
	}
	o.SlowReason = cleanReason(o.SlowReason)
	return o
}

// HandshakeError says why a request was not upgraded. Nothing has been written to the client yet, except that headers
// which the refusal needs (Upgrade, Sec-WebSocket-Version) are set.
type HandshakeError struct {
	Status int    // the HTTP status to answer with
	Reason string // safe to show to the client
}

// Error returns the status and the reason.
func (e *HandshakeError) Error() string {
	return fmt.Sprintf("ws: refused with %d: %s", e.Status, e.Reason)
}

// Accept upgrades a request and runs handle on a goroutine of the connection's own: Accept and the HTTP handler that called
// it return meanwhile, which sets their memory free. handle reads until ReadMessage fails, then returns; the connection is
// closed after it, with Normal if nothing else has ended it, unless it is only silent: see [Options.Done]. A handle that
// keeps w or r alive costs some KiB a connection.
//
// A request that is not to be upgraded yields a *HandshakeError for the caller to answer, and handle is not called.
// HTTP/2 has no upgrade: leave it out of the server's TLS protocols.
func (s *Set) Accept(w http.ResponseWriter, r *http.Request, opts Options, handle func(*Conn)) error {
	if !s.reserve() {
		return &HandshakeError{Status: http.StatusServiceUnavailable, Reason: "shutting down"}
	}
	c, err := s.upgrade(w, r, opts.withDefaults())
	if err != nil {
		s.running.Done()
		return err
	}
	c.handle, c.done = handle, opts.Done
	s.add(c)
	c.call(opts.Open)
	if !c.park() {
		go s.serve(c)
	}
	return nil
}

// upgrade does the handshake.
func (s *Set) upgrade(w http.ResponseWriter, r *http.Request, opts Options) (*Conn, error) {
	if err := verify(w.Header(), r); err != nil {
		return nil, err
	}
	c := &Conn{
		set:        s,
		queueLimit: opts.QueueBytes,
		origin:     strings.Clone(origin.Of(r.Header)), // or it would hold the request's memory
		slow:       slowClose{code: opts.SlowCode, reason: opts.SlowReason},
	}
	c.messageLimit = opts.MessageLimit
	c.keep.heard.Store(s.clock.Load())
	agree(w.Header(), r.Header, opts.Subprotocol)
	w.WriteHeader(http.StatusSwitchingProtocols)
	nc, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	c.net, c.raw = nc, rawConn(nc)
	c.fill, c.attempt = c.readAttempt, c.writeAttempt
	early, _ := brw.Reader.Peek(brw.Reader.Buffered()) // it is there, so it can be peeked at
	c.in = append([]byte(nil), early...)
	return c, nil
}
