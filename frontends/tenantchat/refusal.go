package tenantchat

import (
	"time"

	"parley/channels"
	"parley/internal/fault"
)

// The codes that the document has. All others are those of package fault.
const (
	authError    fault.Code = "AUTH_ERROR"
	chatNotFound fault.Code = "CHAT_NOT_FOUND"
)

// codeOf is this dialect's table of codes.
func codeOf(err error) fault.Code {
	switch code := fault.CodeOf(err); code {
	case fault.AuthRequired, fault.AuthFailed, fault.TokenExpired, fault.PermissionDenied, fault.TenantSuspended:
		return authError
	case fault.NotFound:
		return chatNotFound
	default:
		return code
	}
}

// fixOf says what to do about err. Every error of this dialect says so.
func fixOf(err error) string {
	if fix := fault.Fix(err); fix != "" {
		return fix
	}
	switch fault.CodeOf(err) {
	case fault.AuthRequired, fault.AuthFailed, fault.TokenExpired:
		return "Check your tenant API key value. Each tenant has a unique API key in the tenants table."
	case fault.TenantSuspended, fault.PermissionDenied:
		return "Ask the operator of the broker."
	case fault.NotFound:
		return "Create the chat first using POST /api/v1/chats/ endpoint"
	case fault.InvalidFormat, fault.UnknownType, fault.InvalidID, fault.ReservedType:
		return `Send one JSON object a message: {"content": "Your message to the AI agent"}`
	case fault.MessageTooLarge:
		return "Send less in one message."
	case fault.RateLimited:
		return "Respect the rate limit: wait a second, then send the message again."
	case fault.LimitExceeded:
		return "Wait until the answers that are under way have come."
	case fault.OutcomeUnknown:
		return "Send it again with the same message_id, which is safe."
	default:
		return "Try again a little later."
	}
}

// failure is the document's error event.
type failure struct {
	Event     string     `json:"event_type"`
	Timestamp string     `json:"timestamp"`
	Code      fault.Code `json:"error_code"`
	Message   string     `json:"error_message"`
	Details   details    `json:"details"`
	ID        string     `json:"message_id,omitzero"` // of the message that was refused, if it has one
}

type details struct {
	Fix string `json:"fix"`
}

func errorEvent(at time.Time, err error) failure {
	return failure{
		Event: "error", Timestamp: channels.FormatTime(at), Code: codeOf(err), Message: fault.Message(err), Details: details{fixOf(err)},
	}
}

// The refusals that the document words.

func missing(parameter, header string) error {
	return fault.New(fault.AuthRequired, "Missing %s parameter", parameter).
		WithFix("Add %[1]s parameter: ?%[1]s=your_%[1]s or %[2]s header", parameter, header)
}

func invalidKey(cause error) error { return fault.Wrap(fault.AuthFailed, cause, "Invalid API key") }

func noChat(id string, cause error) error {
	const shown = 64
	if len(id) > shown {
		id = id[:shown]
	}
	return fault.Wrap(fault.NotFound, cause, "Chat with chat_id '%s' not found or does not belong to your tenant", id)
}
