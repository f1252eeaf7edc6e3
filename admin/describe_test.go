package admin

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"

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

// description is what a running server says of itself, ready to check against what it does. Every test of this package
// that uses the world's Client makes its requests through it.
type description struct {
	t       *testing.T
	next    http.RoundTripper
	fetch   sync.Once
	mux     *http.ServeMux // knows the paths only
	schemas *jsonschema.Compiler
	mu      sync.Mutex // guards schemas
}

// CloseIdleConnections is what Client.Close asks for.
func (d *description) CloseIdleConnections() {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// RoundTrip implements http.RoundTripper.
func (d *description) RoundTrip(r *http.Request) (*http.Response, error) {
	d.fetch.Do(func() { d.read(r) })
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := d.next.RoundTrip(r)
	if err != nil || d.mux == nil {
		return resp, err
	}
	_, pattern := d.mux.Handler(r)
	method, path, _ := strings.Cut(pattern, " ")
	if pattern == "" {
		return resp, nil // unknown paths are refused like anything else
	}
	at := "#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path) + "/" + strings.ToLower(method)
	if len(sent) > 0 && resp.StatusCode < 300 {
		d.check(at+"/requestBody/content/application~1json/schema", sent)
	}
	if resp.Header.Get("Content-Type") != "application/json" {
		return resp, nil
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(got))
	if err == nil {
		status := strconv.Itoa(resp.StatusCode)
		if resp.StatusCode >= 300 {
			status = "default"
		}
		d.check(at+"/responses/"+status+"/content/application~1json/schema", got)
	}
	return resp, nil
}

// read asks the server for its description.
func (d *description) read(r *http.Request) {
	req, err := http.NewRequestWithContext(r.Context(), "GET", "http://"+r.URL.Host+prefix+"/openapi.json", nil)
	if err != nil {
		return
	}
	req.Header = r.Header.Clone()
	resp, err := d.next.RoundTrip(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		d.t.Error(err)
		return
	}
	d.schemas = jsonschema.NewCompiler()
	d.schemas.DefaultDraft(jsonschema.Draft2020)
	d.schemas.AssertFormat()
	if err := d.schemas.AddResource("http://api/openapi.json", doc); err != nil {
		d.t.Error(err)
		return
	}
	var paths struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(text, &paths); err != nil {
		d.t.Error(err)
		return
	}
	mux := http.NewServeMux()
	for path, methods := range paths.Paths {
		for method := range methods {
			mux.Handle(strings.ToUpper(method)+" "+path, http.NotFoundHandler())
		}
	}
	d.mux = mux
}

// check says when a body is not as the schema at that place of the description wants it.
func (d *description) check(at string, text []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	schema, err := d.schemas.Compile("http://api/openapi.json" + at)
	if err != nil {
		d.t.Errorf("what the server did is not described: %v", err)
		return
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		d.t.Errorf("%s\nis not as described: %v", text, err)
	}
}
