// Package fault holds the errors that may cross an edge of the broker: a stable code for programs, a sentence for
// people and, where something can be done about it, what to do. Everything else is INTERNAL to the outside, and its
// text stays in the log.
package fault

import (
	"errors"
	"fmt"
)

// Code names a kind of failure. Codes are part of the wire contract (docs/errors.md): they are never renamed.
type Code string

// The codes. Each edge maps them to what its protocol has: an HTTP status, a close code, an exit status.
const (
	Internal         Code = "INTERNAL"           // unforeseen; the text is in the log
	InvalidFormat    Code = "INVALID_FORMAT"     // not what the protocol allows at this place
	UnknownType      Code = "UNKNOWN_TYPE"       // a message type that the protocol does not have
	InvalidID        Code = "INVALID_ID"         // an id outside the grammar
	ReservedType     Code = "RESERVED_TYPE"      // a message type that belongs to the protocol
	NoDestination    Code = "NO_DESTINATION"     // neither a channel nor a target
	MessageTooLarge  Code = "MESSAGE_TOO_LARGE"  // over the size limit; not stored
	AuthRequired     Code = "AUTH_REQUIRED"      // no credential
	AuthFailed       Code = "AUTH_FAILED"        // a credential that proves nothing
	TokenExpired     Code = "TOKEN_EXPIRED"      // a credential that was good once
	PermissionDenied Code = "PERMISSION_DENIED"  // known, but not allowed
	TenantSuspended  Code = "TENANT_SUSPENDED"   // the tenant is switched off
	NotFound         Code = "NOT_FOUND"          // no such thing, or none that the caller may know of
	AlreadyExists    Code = "ALREADY_EXISTS"     // exists and differs from what was asked for
	NotSubscribed    Code = "NOT_SUBSCRIBED"     // the connection has no such subscription
	LimitExceeded    Code = "LIMIT_EXCEEDED"     // a quota; see Error.Message for which
	RateLimited      Code = "RATE_LIMITED"       // too many in too short a time
	SessionClosed    Code = "SESSION_CLOSED"     // nothing more can be said in it
	Gone             Code = "GONE"               // a worker's answer that nobody waits for any more
	OutOfOrder       Code = "OUT_OF_ORDER"       // something before it is missing
	NoWorker         Code = "NO_WORKER"          // no AI worker took the request in time
	WorkerLost       Code = "WORKER_LOST"        // the AI workers that took it have died
	WorkerFailed     Code = "WORKER_FAILED"      // the AI worker has given up
	StorageFull      Code = "STORAGE_FULL"       // not stored: no room
	OutcomeUnknown   Code = "OUTCOME_UNKNOWN"    // stored or not: retry with the same id
	Unavailable      Code = "UNAVAILABLE"        // not now; nothing was done
	Draining         Code = "DRAINING"           // this node is going away; nothing was done
	SlowConsumer     Code = "SLOW_CONSUMER"      // the peer reads too slowly
	MethodNotAllowed Code = "METHOD_NOT_ALLOWED" // the endpoint exists, the verb does not
	UpgradeRequired  Code = "UPGRADE_REQUIRED"   // the endpoint speaks WebSocket only
	Usage            Code = "USAGE"              // a command line that makes no sense
)

// Error is a failure with a code. Message says what was attempted and is safe to show to the client that caused it;
// Err, the cause, is not.
type Error struct {
	Code    Code
	Message string
	Fix     string // what the caller can do about it. Zero means nothing is known to help.
	Err     error
}

// Error returns the message, followed by the cause. It is meant for logs, not for clients: see Message.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause, which may be nil.
func (e *Error) Unwrap() error { return e.Err }

// WithFix returns a copy of e that also says what to do.
func (e *Error) WithFix(format string, args ...any) *Error {
	c := *e
	c.Fix = fmt.Sprintf(format, args...)
	return &c
}

// New returns an Error without a cause.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an Error with a cause that clients do not see.
func Wrap(code Code, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: cause}
}

// CodeOf returns the code of the outermost Error in err's chain, Internal if there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// Message returns the text of err that a client may see.
func Message(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Code != Internal {
		return e.Message
	}
	return "Internal error."
}

// Fix returns what the caller can do about err, or "".
func Fix(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Fix
	}
	return ""
}
