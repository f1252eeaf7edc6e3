package admin

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"parley/internal/openapi"
)

// A new endpoint is a line in a table of routes.go. This test says what of the line is missing.
func TestEveryRouteIsDescribed(t *testing.T) {
	s := &Server{cfg: Config{Info: func() Info { return Info{} }}}
	ids := map[string]bool{}
	for _, r := range s.table() {
		name := r.method + " " + r.path
		if r.id == "" || ids[r.id] {
			t.Errorf("%s: the id %q is missing, or another route has it", name, r.id)
		}
		ids[r.id] = true
		if !strings.HasSuffix(r.says, ".") {
			t.Errorf("%s: says is to be a sentence, not %q", name, r.says)
		}
		if len(r.gives) == 0 {
			t.Errorf("%s: gives is to name the answers by status", name)
		}
		for _, wild := range openapi.Wildcards(r.path) {
			if !slices.ContainsFunc(pathParameters(), func(p openapi.Parameter) bool { return p.Name == wild }) {
				t.Errorf("%s: {%s} is missing in pathParameters", name, wild)
			}
		}
		if (r.takes != nil) && (r.method == http.MethodGet || r.method == http.MethodDelete) {
			t.Errorf("%s: nothing reads the body of such a request", name)
		}
	}
	doc := s.describe()
	operations := 0
	for _, methods := range doc.Paths {
		operations += len(methods)
	}
	if operations != len(ids) {
		t.Errorf("%d operations are described, of %d", operations, len(ids))
	}
}
