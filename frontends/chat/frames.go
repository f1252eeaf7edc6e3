package chat

import (
	"time"

	"parley/channels"
	"parley/internal/fault"
	"parley/internal/rawjson"
)

// The ids of messages are those of answers in the log with a prefix that the document shows.
const idPrefix = "msg_"

func messageID(answer string) string { return idPrefix + answer }

// appendString appends a member with a string value, behind others.
func appendString(b []byte, name, value string) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return rawjson.AppendString(b, value)
}

func appendTime(b []byte, at time.Time) []byte {
	return append(channels.AppendTime(append(b, `,"timestamp":"`...), at), '"')
}

// plainFrame is a frame that has a type, a message unless it is "", and a time.
func plainFrame(kind, message string, at time.Time) []byte {
	b := rawjson.AppendString([]byte(`{"type":`), kind)
	if message != "" {
		b = appendString(b, "message", message)
	}
	return append(appendTime(b, at), '}')
}

func connectionFrame(session string, at time.Time) []byte {
	b := plainFrame("connection", "Connected to chatbot server", at)
	return append(appendString(b[:len(b)-1], "session_id", session), '}')
}

// expiryFrame is about the time until which a token is good.
func expiryFrame(kind string, expires, at time.Time) []byte {
	b := plainFrame(kind, "", at)
	return append(appendString(b[:len(b)-1], "expires", channels.FormatTime(expires)), '}')
}

// errorFrame says what went wrong: in the document's few words, and in our own. id is the client's for its message, or "".
func errorFrame(id string, at time.Time, code fault.Code, detail, fix string) []byte {
	b := plainFrame("error", errorText(code), at)
	b = appendString(b[:len(b)-1], "code", string(code))
	b = appendString(b, "detail", detail)
	if fix != "" {
		b = appendString(b, "fix", fix)
	}
	if id != "" {
		b = appendString(b, "id", id)
	}
	return append(b, '}')
}

// errorText is the document's text for an error.
func errorText(code fault.Code) string {
	switch code {
	case fault.UnknownType:
		return "Unknown message type"
	case fault.InvalidFormat, fault.InvalidID, fault.MessageTooLarge:
		return "Invalid message format"
	default:
		return "Failed to process chat message"
	}
}
