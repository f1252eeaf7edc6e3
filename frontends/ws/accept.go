package ws

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/coder/websocket"

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

// Accept upgrades a request and runs handle on the connection's own goroutine: Accept and the HTTP handler that called it
// return meanwhile, which sets their memory free. handle reads until ReadMessage fails, then returns; the connection is
// closed after it, with Normal if nothing else has ended it. A handle that keeps w or r alive costs some KiB a connection.
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
	s.add(c)
	if opts.Open != nil {
		c.open(opts.Open)
	}
	go s.serve(c, handle)
	return nil
}

// upgrade lets the library do the handshake.
func (s *Set) upgrade(w http.ResponseWriter, r *http.Request, opts Options) (*Conn, error) {
	c := &Conn{
		set:        s,
		queueLimit: opts.QueueBytes,
		origin:     strings.Clone(origin.Of(r.Header)), // or it would hold the request's memory
		slow:       slowClose{code: opts.SlowCode, reason: opts.SlowReason},
	}
	c.messageLimit = opts.MessageLimit
	c.keep.heard.Store(s.clock.Load())
	accept := &websocket.AcceptOptions{
		InsecureSkipVerify: true, // whose pages may connect depends on the tenant, which the caller knows
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     c.onPing,
		OnPongReceived:     c.onPong,
	}
	if opts.Subprotocol != "" {
		accept.Subprotocols = []string{opts.Subprotocol}
	}
	up := &upgrader{ResponseWriter: w, conn: c}
	peer, err := websocket.Accept(up, r, accept)
	if err != nil {
		return nil, up.refusal(err)
	}
	peer.SetReadLimit(HardLimit)
	c.peer = peer
	return c, nil
}

// Sizes of the library's buffers. One holds the header of a frame, and what comes behind it goes past it if it is long; the
// other a whole control frame, which has at most 127 bytes, and wire.Write relies on that.
const (
	readBuffer  = 128
	writeBuffer = 128
)

// upgrader is the ResponseWriter that the library gets: it puts a Conn between it and the socket, and keeps refusals for
// the caller.
type upgrader struct {
	http.ResponseWriter
	conn   *Conn
	status int    // of a refusal
	reason string // its body
}

// WriteHeader lets only the upgrade through.
func (u *upgrader) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		u.ResponseWriter.WriteHeader(status)
		return
	}
	u.status = status
}

// Write keeps the body of a refusal.
func (u *upgrader) Write(p []byte) (int, error) {
	u.reason += string(p)
	return len(p), nil
}

func (u *upgrader) refusal(err error) error {
	if u.status == 0 {
		return fmt.Errorf("upgrade: %w", err)
	}
	return &HandshakeError{Status: u.status, Reason: strings.TrimSpace(u.reason)}
}

// Hijack takes the connection over from the HTTP server, together with what the client has sent behind its request.
func (u *upgrader) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	c := u.conn
	c.net, c.raw = nc, rawConn(nc)
	c.fill, c.attempt = c.readAttempt, c.writeAttempt
	early, _ := brw.Reader.Peek(brw.Reader.Buffered()) // it is there, so it can be peeked at
	c.in = append([]byte(nil), early...)
	w := (*wire)(c)
	c.br = bufio.NewReaderSize(w, readBuffer)
	return w, bufio.NewReadWriter(c.br, bufio.NewWriterSize(w, writeBuffer)), nil
}
