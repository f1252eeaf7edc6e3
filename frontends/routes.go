package frontends

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"parley/internal/fault"
	"parley/tenants"
)

// handler serves a request of somebody known. It returns a fault for what it has not answered itself.
type handler func(http.ResponseWriter, *http.Request, *tenants.Grant) error

// verbs are the methods of one path.
type verbs map[string]handler

func (e *Edge) routes() http.Handler {
	mux := http.NewServeMux()
	for path, v := range map[string]verbs{
		"/v1/ws": {http.MethodGet: e.agents.Connect},
		"/v1/ws/tenant/{tenant}/agent/{agent}/channel/{channel}": {http.MethodGet: e.agents.ConnectPath},
		"/v1/agents":                      {http.MethodGet: e.agents.Agents},
		"/v1/agents/{agent}":              {http.MethodGet: e.agents.Agent},
		"/v1/channels/{channel}/messages": {http.MethodGet: e.agents.Messages, http.MethodPost: e.agents.Publish},
	} {
		mux.HandleFunc(path, e.authenticated(v))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		e.refuse(w, r, fault.New(fault.NotFound, "There is no such endpoint."))
	})
	return mux
}

// authenticated lets requests with a good token through to the handler of their method.
func (e *Edge) authenticated(v verbs) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		allowOrigins(w.Header())
		if r.Method == http.MethodOptions {
			v.preflight(w)
			return
		}
		h, ok := v[r.Method]
		if !ok {
			w.Header().Set("Allow", v.allowed())
			e.refuse(w, r, fault.New(fault.MethodNotAllowed, "The endpoint does not take %s.", r.Method))
			return
		}
		if err := e.serve(h, w, r); err != nil {
			e.refuse(w, r, err)
		}
	}
}

func (e *Edge) serve(h handler, w http.ResponseWriter, r *http.Request) error {
	token, err := takeToken(r, "token")
	if err != nil {
		return err
	}
	g, err := e.registry.Verify(r.Context(), token)
	if err != nil {
		return err
	}
	if g.Login {
		return fault.New(fault.PermissionDenied, "A login token opens no connection.").
			WithFix("Exchange it for an access token first.")
	}
	return h(w, r, g)
}

func (v verbs) allowed() string {
	methods := []string{http.MethodOptions}
	for m := range v {
		methods = append(methods, m)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// allowOrigins lets pages of any origin read the answers: no cookie authenticates anything here, so that a page can do
// no more than who wrote it could do alone.
func allowOrigins(h http.Header) { h.Set("Access-Control-Allow-Origin", "*") }

func (v verbs) preflight(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", v.allowed())
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-API-Key")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// retryAfter is what clients are told that come at a bad moment, in seconds.
const retryAfter = "1"

// refuse answers a request that was not carried out.
func (e *Edge) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code := fault.CodeOf(err)
	status := fault.HTTPStatus(code)
	if code == fault.Internal {
		e.log.Error("a request could not be carried out", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	h := w.Header()
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="parley"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter)
	}
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, struct { // a client that is gone needs no answer
		Code    fault.Code `json:"code"`
		Message string     `json:"message"`
		Fix     string     `json:"fix,omitzero"`
	}{code, fault.Message(err), fault.Fix(err)})
}
