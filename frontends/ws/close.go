package ws

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Code is a WebSocket close code. Applications add their own from 4000 to 4999.
type Code uint16

// The close codes of RFC 6455, section 7.4.1, and its registry.
const (
	Normal          Code = 1000
	GoingAway       Code = 1001
	ProtocolError   Code = 1002
	Unsupported     Code = 1003
	NoStatus        Code = 1005 // the peer's close frame had no code; never sent
	Abnormal        Code = 1006 // the connection ended without a close frame; never sent
	InvalidPayload  Code = 1007
	PolicyViolation Code = 1008
	TooBig          Code = 1009
	InternalError   Code = 1011
	Restarting      Code = 1012
	TryLater        Code = 1013
)

var (
	// ErrClosed says that the connection takes no more data: it has ended or is about to. [Conn.Closed] says why.
	ErrClosed = errors.New("ws: connection closed")

	// ErrSlow says that the peer does not read what it is sent. It is returned by the one Send that overflowed the
	// queue, and is the cause in the [CloseError] of every connection that ended for this reason.
	ErrSlow = errors.New("ws: peer reads too slowly")
)

// CloseError says how a connection ended.
type CloseError struct {
	Code   Code
	Reason string // valid UTF-8, at most 123 bytes
	ByPeer bool   // whether the peer sent its close frame first
	Err    error  // the cause, for the log. Zero means that there is no more to say.
}

// Error describes the end in one line.
func (e *CloseError) Error() string {
	by := ""
	if e.ByPeer {
		by = " by peer"
	}
	s := fmt.Sprintf("ws: closed%s with %d %q", by, e.Code, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause, which may be nil. So may e be, so that errors.Is can ask the result of [Conn.Closed].
func (e *CloseError) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// maxReason is what a control frame has room for behind the close code.
const maxReason = maxShort - 2

// cleanReason makes reason fit a close frame without splitting a character.
func cleanReason(reason string) string {
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) <= maxReason {
		return reason
	}
	n := maxReason
	for !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}

// sendable reports whether a close frame may carry c.
func (c Code) sendable() bool {
	switch {
	case c == 1004, c == NoStatus, c == Abnormal, c == 1015:
		return false
	default:
		return c >= 1000 && c <= 1014 || c >= 3000 && c <= 4999
	}
}

func closeFrame(code Code, reason string) []byte {
	b := appendHeader(make([]byte, 0, 4+len(reason)), finClose, 2+len(reason))
	return append(binary.BigEndian.AppendUint16(b, uint16(code)), reason...)
}

// parseClose reads the payload of a close frame that the library has checked.
func parseClose(payload []byte) (Code, string) {
	if len(payload) < 2 {
		return NoStatus, ""
	}
	return Code(binary.BigEndian.Uint16(payload)), string(payload[2:])
}
