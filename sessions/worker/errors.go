package worker

import (
	"errors"
	"fmt"
)

// Error is why a Handler could not answer, in words that the user may read. A Handler that returns another error has the
// user told only that the answer failed; the text goes to the log.
type Error struct {
	Code    string // such as RATE_LIMITED. Defaults to WORKER_FAILED.
	Message string // for the user. Defaults to a sentence that says nothing.
	Retry   bool   // another worker may try; what was said so far counts as interrupted
	Err     error  // the cause, for the log
}

// Error returns the message and the cause. It is meant for logs.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return fmt.Sprintf("%s: %v", e.Message, e.Err)
}

// Unwrap returns the cause, which may be nil.
func (e *Error) Unwrap() error { return e.Err }

// The causes with which the context of an Answer ends; see context.Cause. What a Handler does after that reaches nobody.
var (
	ErrStopped  = errors.New("the answer was stopped")                    // by the user, or because a human took over
	ErrGone     = errors.New("nobody waits for this answer any more")     // it was stopped, given to another worker, or the session is closed
	ErrLost     = errors.New("the session has lost part of the answer")   // which a store that works does not do
	ErrDeadline = errors.New("the time for the answer is over")           // Request.Deadline
	ErrDraining = errors.New("the worker ends, another one takes over")   // Config.Grace is over
	ErrRefused  = errors.New("the session does not accept what was sent") // the worker speaks another version of the protocol
	errOver     = errors.New("the answer is over")                        // the Handler has returned
)

const (
	defaultCode    = "WORKER_FAILED"
	defaultMessage = "The answer failed."
)

// failure returns the message that ends an answer with err.
func failure(err error) *message {
	m := &message{Type: typeError, Code: defaultCode, Message: defaultMessage}
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Code != "" {
			m.Code = e.Code
		}
		if e.Message != "" {
			m.Message = e.Message
		}
		m.Retry = e.Retry
	}
	return m
}
