package ws

import (
	"crypto/sha1" //nolint:gosec // G505: RFC 6455 wants it, and not for its strength
	"encoding/base64"
	"net/http"
	"strings"
)

// verify returns why a request is no handshake of a client (RFC 6455, section 4.2.1), nil if it is one. Headers that the
// refusal needs are put among answer's.
func verify(answer http.Header, r *http.Request) error {
	refuse := func(status int, reason string) error { return &HandshakeError{Status: status, Reason: reason} }
	switch {
	case !r.ProtoAtLeast(1, 1), !says(r.Header, "Connection", "Upgrade"), !says(r.Header, "Upgrade", "websocket"):
		answer.Set("Connection", "Upgrade")
		answer.Set("Upgrade", "websocket")
		return refuse(http.StatusUpgradeRequired, "the request does not ask for an upgrade")
	case r.Method != http.MethodGet:
		return refuse(http.StatusMethodNotAllowed, "the method is not GET")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		answer.Set("Sec-WebSocket-Version", "13")
		return refuse(http.StatusBadRequest, "Sec-WebSocket-Version is not 13")
	}
	keys := r.Header.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return refuse(http.StatusBadRequest, "there is not one Sec-WebSocket-Key")
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0])); err != nil || len(key) != 16 {
		return refuse(http.StatusBadRequest, "Sec-WebSocket-Key is not 16 bytes in base64")
	}
	return nil
}

// agree lays out the answer to a handshake (RFC 6455, section 4.2.2).
func agree(answer, request http.Header, subprotocol string) {
	const salt = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum([]byte(strings.TrimSpace(request.Get("Sec-WebSocket-Key")) + salt)) //nolint:gosec // G401: as above
	answer.Set("Upgrade", "websocket")
	answer.Set("Connection", "Upgrade")
	answer.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	if subprotocol != "" && says(request, "Sec-WebSocket-Protocol", subprotocol) {
		answer.Set("Sec-WebSocket-Protocol", subprotocol)
	}
}

// says reports whether one of a header's comma-separated values is this one, in any spelling of case.
func says(h http.Header, name, value string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), value) {
				return true
			}
		}
	}
	return false
}
