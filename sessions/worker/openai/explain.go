package openai

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"parley/sessions/worker"
)

// attempts is how often a request is given to a worker when the model's server breaks off.
const attempts = 3

// What users are told.
const (
	sorryAway    = "The assistant is not available now."
	sorryBusy    = "The assistant is busy. Please try again in a moment."
	sorryLong    = "This message is too long for the assistant."
	sorryBroken  = "The assistant's answer broke off."
	sorryRefused = "The assistant may not answer this."
)

// explain turns a failure into what the user is told, with the cause for the operator's log.
func (m *Model) explain(ctx context.Context, r *worker.Request, err error) error {
	if ctx.Err() != nil { // nobody waits
		return context.Cause(ctx)
	}
	sorry := func(code, message string, cause error) error {
		return &worker.Error{Code: code, Message: message, Err: cause}
	}
	var refusal *openai.Error
	switch {
	case tooLong(err):
		return sorry("MESSAGE_TOO_LARGE", sorryLong, describe(err))
	case errors.Is(err, errFiltered):
		return sorry("CONTENT_FILTERED", sorryRefused, err)
	case errors.As(err, &refusal):
		switch {
		case refusal.StatusCode == http.StatusUnauthorized || refusal.StatusCode == http.StatusForbidden:
			return sorry("UNAVAILABLE", sorryAway, fmt.Errorf("the model's server refuses the key (HTTP %d): see to --key-file or $OPENAI_API_KEY", refusal.StatusCode))
		case refusal.StatusCode == http.StatusTooManyRequests:
			return sorry("RATE_LIMITED", sorryBusy, describe(err))
		case refusal.Code == "content_filter" || refusal.Code == "content_policy_violation":
			return sorry("CONTENT_FILTERED", sorryRefused, describe(err))
		}
		return sorry("UNAVAILABLE", sorryAway, describe(err))
	}
	// The connection, or the stream: another try may do better.
	return &worker.Error{Code: "UNAVAILABLE", Message: sorryBroken, Retry: r.Attempt < attempts, Err: describe(err)}
}

// describe says for the operator what a server has said.
func describe(err error) error {
	if refusal := (*openai.Error)(nil); errors.As(err, &refusal) {
		return fmt.Errorf("the model's server says: HTTP %d %s %s: %.300s", refusal.StatusCode, refusal.Type, refusal.Code, refusal.Message)
	}
	return fmt.Errorf("the model's server: %w", err)
}

// tooLong reports whether the server would not take that much. OpenAI has a code for it, others a sentence.
func tooLong(err error) bool {
	var refusal *openai.Error
	var said string
	if errors.As(err, &refusal) {
		if refusal.StatusCode != http.StatusBadRequest && refusal.StatusCode != http.StatusRequestEntityTooLarge {
			return false
		}
		said = refusal.Code + " " + refusal.Type + " " + refusal.Message
	} else if broken := (*ssestream.StreamError)(nil); errors.As(err, &broken) {
		said = broken.Message
	}
	said = strings.ToLower(said)
	for _, sign := range []string{
		"context_length_exceeded", "maximum context length", "context length", "context window", "exceed_context_size", "context size", "prompt is too long", "too many tokens",
	} {
		if strings.Contains(said, sign) {
			return true
		}
	}
	return false
}
