package frontends

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"parley/internal/openapi"
	"parley/internal/openapi/prose"
)

// TestProse wants a comment beside every field of every type that the endpoints take or give, and compares what the
// description says with them. With -update it writes the description's file: go test ./frontends -run Prose -update
func TestProse(t *testing.T) {
	prose.Check(t, openapi.Structs(describe()), "..", "prose.json")
	for _, member := range openapi.Describe(describe()).Undescribed() {
		t.Errorf("%s has no description", member)
	}
}

// sockets are the endpoints that are described elsewhere, being WebSockets, and Below's other patterns.
var sockets = []string{
	"/v1/ws", "/v1/ws/tenant/{tenant}/agent/{agent}/channel/{channel}", "/websocket/ws", "/{$}", "/ws/chat", "/ws", "/ws/meet",
}

func TestEveryEndpointIsDescribed(t *testing.T) {
	e := &Edge{}
	mux := e.mux()
	ids, described := map[string]bool{}, map[string]bool{}
	for _, op := range describe().Operations {
		if op.ID == "" || ids[op.ID] || !strings.HasSuffix(op.Summary, ".") || len(op.Answers) == 0 || op.Tag == "" {
			t.Errorf("%s %s: the id %q, the summary %q, the answers or the tag are missing or there twice", op.Method, op.Path, op.ID, op.Summary)
		}
		ids[op.ID] = true
		for _, wild := range openapi.Wildcards(op.Path) {
			if !slices.ContainsFunc(op.Parameters, func(p openapi.Parameter) bool { return p.Name == wild }) {
				t.Errorf("%s: {%s} is not among the parameters", op.ID, wild)
			}
		}
		_, pattern := mux.Handler(httptest.NewRequest(op.Method, strings.NewReplacer("{", "", "}", "").Replace(op.Path), nil))
		described[op.Method+" "+pattern] = true
	}
	served := 0
	for path, v := range e.served {
		for method := range v {
			if slices.Contains(sockets, path) {
				continue
			}
			served++
			if name := method + " " + path; !described[name] && name != "GET /api/v1/chats/{id}/stop" {
				t.Errorf("%s is not described", name)
			}
		}
	}
	if served < len(ids)-1 {
		t.Errorf("%d endpoints are served, and %d are described", served, len(ids))
	}
	for name := range described {
		method, path, _ := strings.Cut(name, " ")
		if _, ok := e.served[path][method]; !ok {
			t.Errorf("%s is described, but nobody serves it", name)
		}
	}
}

func TestTheDescriptionIsForAnybody(t *testing.T) {
	w := httptest.NewRecorder()
	description()(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	if body := w.Body.String(); w.Code != http.StatusOK || !strings.HasPrefix(body, `{"openapi":"3.1.0"`) && !strings.Contains(body, `"openapi":"3.1.0"`) || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %v %.100s", w.Code, w.Header(), body)
	}
}
