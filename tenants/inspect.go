package tenants

import (
	"context"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/fault"
)

// Step is one stage of a verification that was passed.
type Step struct {
	Name  string `json:"name"`  // what was looked at
	Found string `json:"found"` // what the step came upon
}

// Report tells an admin what a token holds and why it is good or refused. It holds neither the signature nor anything
// of a key.
type Report struct {
	Valid   bool           `json:"valid"`             // whether the token would be let in now
	Code    fault.Code     `json:"code,omitempty"`    // what a client would be told
	Message string         `json:"message,omitempty"` // what a client would be told
	Reason  string         `json:"reason,omitempty"`  // what a client would not be told
	Steps   []Step         `json:"steps"`             // in order; the stage after the last one refused
	Header  jsontext.Value `json:"header,omitempty"`  // as it stands in the token
	Claims  jsontext.Value `json:"claims,omitempty"`  // as they stand in the token, verified only if Valid
}

// explain verifies a token and writes down how that went.
func (v *verifier) explain(ctx context.Context, token string) Report {
	r := Report{Steps: []Step{}}
	r.Header, r.Claims = readable(token)
	_, _, _, err := v.check(ctx, token, func(step, found string) {
		r.Steps = append(r.Steps, Step{Name: step, Found: found})
	})
	if err == nil {
		r.Valid = true
		return r
	}
	r.Code, r.Message = fault.CodeOf(err), fault.Message(err)
	if cause := errors.Unwrap(err); cause != nil {
		r.Reason = cause.Error()
	}
	return r
}

// readable returns the token's header and claims if they are JSON at all.
func readable(token string) (head, claims jsontext.Value) {
	segments := [2]jsontext.Value{}
	if len(token) > maxTokenBytes {
		return nil, nil
	}
	rest := token
	for i := range segments {
		segment, after, ok := strings.Cut(rest, ".")
		if !ok {
			return nil, nil
		}
		if b, err := decodeSegment(segment); err == nil && jsontext.Value(b).IsValid() {
			segments[i] = b
		}
		rest = after
	}
	return segments[0], segments[1]
}
