// Package openapitest checks what a server does against the description that it serves.
package openapitest

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Checker is what a running server says of itself, ready to check against what it does: requests that are made through it, and
// their answers. It may be used concurrently.
type Checker struct {
	t       testing.TB
	next    http.RoundTripper
	at      string // path of the description
	fetch   sync.Once
	served  []endpoint // nil while the server has said nothing
	schemas *jsonschema.Compiler
	mu      sync.Mutex // guards schemas
}

// New returns a Checker that makes its requests with next. The server's description is at that path.
func New(t testing.TB, next http.RoundTripper, at string) *Checker {
	return &Checker{t: t, next: next, at: at}
}

// CloseIdleConnections is what Client.Close asks for.
func (d *Checker) CloseIdleConnections() {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// RoundTrip implements http.RoundTripper.
func (d *Checker) RoundTrip(r *http.Request) (*http.Response, error) {
	d.fetch.Do(func() { d.read(r) })
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := d.next.RoundTrip(r)
	if err != nil || d.served == nil {
		return resp, err
	}
	e, known := d.find(r)
	if !known {
		return resp, nil // unknown paths are refused like anything else
	}
	at := "#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(e.path) + "/" + e.method
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
func (d *Checker) read(r *http.Request) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+r.URL.Host+d.at, nil)
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
	for path, methods := range paths.Paths {
		for method := range methods {
			d.served = append(d.served, endpoint{method, path})
		}
	}
}

// endpoint is an operation of the description.
type endpoint struct{ method, path string }

// find returns the operation that a request asks for: of several, the one whose path says most.
func (d *Checker) find(r *http.Request) (best endpoint, known bool) {
	most := -1
	asked := strings.Split(r.URL.EscapedPath(), "/")
	for _, e := range d.served {
		if said := said(strings.Split(e.path, "/"), asked); strings.EqualFold(e.method, r.Method) && said > most {
			best, most = e, said
		}
	}
	return best, most >= 0
}

// said returns how many segments of a path are as asked for, or -1 when those that do not vary differ.
func said(path, asked []string) (n int) {
	if len(path) != len(asked) {
		return -1
	}
	for i, segment := range path {
		switch {
		case segment == asked[i]:
			n++
		case !strings.HasPrefix(segment, "{") || asked[i] == "":
			return -1
		}
	}
	return n
}

// check says when a body is not as the schema at that place of the description wants it.
func (d *Checker) check(at string, text []byte) {
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
