package rest

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/frontends/frame"
	"parley/internal/fault"
)

// Body reads the JSON object that a request carries; no body is an empty one. Errors are fault.MessageTooLarge, where an
// http.MaxBytesReader bounds it, and InvalidFormat.
func Body(r *http.Request) (frame.Fields, error) {
	body, err := io.ReadAll(r.Body)
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fault.New(fault.MessageTooLarge, "The body has more than %d bytes.", tooBig.Limit)
	}
	if err != nil {
		return nil, fault.Wrap(fault.InvalidFormat, err, "The body could not be read.")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	return frame.Read(nil, body)
}

// Refuse answers a request under /api that was not carried out, in the form of the document of bots and meetings. code is
// the dialect's for err.
func Refuse(w http.ResponseWriter, code fault.Code, err error) {
	Reply(w, fault.HTTPStatus(fault.CodeOf(err)), Refusal{false, Problem{code, fault.Message(err), fault.Fix(err)}})
}

// Refusal is what Refuse answers.
type Refusal struct {
	Success bool    `json:"success"` // false
	Error   Problem `json:"error"`   // why the request was not carried out
}

// Problem is why a request was not carried out.
type Problem struct {
	Code    fault.Code `json:"code"`         // of the list in docs/errors.md, for programs
	Message string     `json:"message"`      // for people; may change at any time
	Fix     string     `json:"fix,omitzero"` // what to do about it, when that is known
}

// Reply answers with v as JSON, which must be encodable.
func Reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(err) // unreachable: the dialects' answers always marshal
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that is gone needs no answer
}
