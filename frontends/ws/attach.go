package ws

import (
	"bufio"
	"fmt"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// Sizes of the library's buffers. One holds the header of a frame, and what comes behind it goes past it if it is long; the
// other a whole control frame, which has at most 127 bytes, and wire.Write relies on that.
const (
	readBuffer  = 128
	writeBuffer = 128
)

// attach has the library make its half of the connection if there is none. It makes one in a handshake only, and gets one
// that nobody sees: to keep its half while there is nothing to read would cost every silent connection 2 KiB, and the
// library knows nothing from one message to the next.
func (c *Conn) attach() error {
	if c.wire != nil {
		return nil
	}
	peer, err := websocket.Accept(&unseen{conn: c, header: http.Header{}}, c.set.unseen, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionDisabled,
		OnPingReceived:  c.onPing,
		OnPongReceived:  c.onPong,
	})
	if err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	peer.SetReadLimit(HardLimit)
	c.wire.peer = peer
	return nil
}

// detach lets go of the library's half, between two messages or at the end.
func (c *Conn) detach() {
	if w := c.wire; w != nil {
		c.wire = nil
		w.left.Store(true)
		_ = w.peer.CloseNow() // which has nothing to close but itself
	}
}

// unseenRequest returns the handshake that attach shows to the library.
func unseenRequest() *http.Request {
	return &http.Request{Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}}
}

// unseen takes the answer to it.
type unseen struct {
	conn   *Conn
	header http.Header
}

func (u *unseen) Header() http.Header         { return u.header }
func (u *unseen) WriteHeader(int)             {}
func (u *unseen) Write(p []byte) (int, error) { return len(p), nil }

// Hijack gives the connection to the library.
func (u *unseen) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w := &wire{conn: u.conn}
	w.br = bufio.NewReaderSize(w, readBuffer)
	u.conn.wire = w
	return w, bufio.NewReadWriter(w.br, bufio.NewWriterSize(w, writeBuffer)), nil
}
