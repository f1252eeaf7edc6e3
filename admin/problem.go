package admin

import (
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"parley/internal/fault"
)

// refuse answers a request with what is wrong.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code := fault.CodeOf(err)
	if code == fault.Internal {
		s.log.Error("An admin's request failed.", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	s.reply(w, fault.HTTPStatus(code), Problem{Code: code, Message: fault.Message(err), Fix: fault.Fix(err)})
}

// reply writes a whole answer.
func (s *Server) reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.log.Error("An answer could not be encoded.", "error", err)
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// read decodes the body of a request: one JSON object with known members, none of them twice.
func read[T any](w http.ResponseWriter, r *http.Request) (T, error) {
	var v T
	text, err := readBody(w, r)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(text, &v, json.RejectUnknownMembers(true)); err != nil {
		return v, bodyFault(err)
	}
	return v, nil
}

// readBody reads the body of a request.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	// Reading has its own deadline, since the server's ends with the headers, and none is left for what comes after.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyWithin))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		return nil, bodyFault(err)
	}
	return text, nil
}
