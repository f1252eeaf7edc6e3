package bots

import (
	"parley/frontends/frame"
	"parley/internal/fault"
)

// The codes that only this dialect has. It shares RATE_LIMITED, MESSAGE_TOO_LARGE, INVALID_FORMAT and AUTH_FAILED with
// package fault.
const (
	sessionNotFound    fault.Code = "SESSION_NOT_FOUND"
	subscriptionFailed fault.Code = "SUBSCRIPTION_FAILED"
)

// codeOf is this dialect's table of codes: the document's where it has one, else those of package fault.
func codeOf(err error) fault.Code {
	switch code := frame.CodeOf(err); code {
	case fault.NotFound:
		return sessionNotFound
	case fault.NotSubscribed:
		return subscriptionFailed
	default:
		return code
	}
}

// noSession is what the document says about a session that is not there, or not the client's, or whose id can't be one.
func noSession(err error) error {
	switch fault.CodeOf(err) {
	case fault.NotFound, fault.InvalidID:
		return fault.Wrap(fault.NotFound, err, "Session does not exist or has expired")
	default:
		return err
	}
}

// cannotSubscribe is what the document says about a session that can't be followed.
func cannotSubscribe(err error, format string, args ...any) error {
	return fault.Wrap(fault.NotSubscribed, err, format, args...)
}
