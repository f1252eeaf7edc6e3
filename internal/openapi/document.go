// Package openapi writes the OpenAPI 3.1 description of an HTTP API from the Go types that its handlers read and write,
// so that the two can't drift apart.
package openapi

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// API is what is to be described.
type API struct {
	Title      string
	About      string // Markdown
	Version    string // of the API's server
	Operations []Operation
	Refusal    any // a value of the type that every refusal is

	Enums map[reflect.Type][]string // types of text that has one of these values only
	Prose map[string]string         // what struct types and their fields are, by TypeKey and FieldKey; package prose makes it
}

// Operation is one endpoint.
type Operation struct {
	ID      string // names it, for generated clients
	Method  string
	Path    string // with {name} for each part that varies
	Summary string
	Tag     string // what it is about, to group operations by
	Open    bool   // needs no key

	Parameters []Parameter // in the order of their appearance; every {name} of the path is among them
	Body       any         // a value of the type that is to be sent; nil for nothing
	Answers    map[int]any // by HTTP status, a value of the type that is answered: nil for nothing, Lines for one on each line
	Refusal    any         // a value of the type of its refusals. Nil means that of the API.
}

// Parameter is a part of the path, or of the query unless it is in the path.
type Parameter struct {
	Name   string
	About  string
	Number bool     // of type integer, else text
	OneOf  []string // all values that there are; nil for any
}

// Lines is an answer that goes on: JSON values of the type of Of, one a line, until either side ends it.
type Lines struct{ Of any }

// Loose is a body that may have members that its type does not, and null for those that may be absent.
type Loose struct{ Of any }

// Bytes is a body that is no JSON, of that media type.
type Bytes struct{ Media string }

// Document is an OpenAPI document. Its JSON form is what tools read.
type Document struct {
	OpenAPI    string                           `json:"openapi"`
	Info       info                             `json:"info"`
	Paths      map[string]map[string]*operation `json:"paths"`
	Components components                       `json:"components"`
}

type info struct {
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Version     string `json:"version"`
}

type components struct {
	Schemas         map[string]*Schema        `json:"schemas"`
	SecuritySchemes map[string]securityScheme `json:"securitySchemes"`
}

type securityScheme struct {
	Type   string `json:"type"`
	Scheme string `json:"scheme"`
}

type operation struct {
	ID         string                `json:"operationId"`
	Summary    string                `json:"summary"`
	Tags       []string              `json:"tags,omitempty"`
	Parameters []parameter           `json:"parameters,omitempty"`
	Body       *body                 `json:"requestBody,omitempty"`
	Responses  map[string]response   `json:"responses"`
	Security   []map[string][]string `json:"security"`
}

type parameter struct {
	Name     string  `json:"name"`
	In       string  `json:"in"`
	About    string  `json:"description"`
	Required bool    `json:"required,omitzero"`
	Schema   *Schema `json:"schema"`
}

type body struct {
	Required bool                 `json:"required"`
	Content  map[string]mediaType `json:"content"`
}

type response struct {
	About   string               `json:"description"`
	Content map[string]mediaType `json:"content,omitempty"`
}

type mediaType struct {
	Schema *Schema `json:"schema,omitzero"`
}

// Media types of bodies.
const (
	mediaJSON  = "application/json"
	mediaLines = "application/x-ndjson"
)

const bearer = "key"

// Describe returns the document of an API. It panics on types that have no JSON form, which a test of the caller finds.
func Describe(api API) *Document {
	s := newSchemas(api.Enums, api.Prose)
	doc := &Document{
		OpenAPI: "3.1.0",
		Info:    info{api.Title, api.About, api.Version},
		Paths:   map[string]map[string]*operation{},
		Components: components{
			Schemas:         s.named,
			SecuritySchemes: map[string]securityScheme{bearer: {"http", "bearer"}},
		},
	}
	for _, op := range api.Operations {
		if doc.Paths[op.Path] == nil {
			doc.Paths[op.Path] = map[string]*operation{}
		}
		refusal := api.Refusal
		if op.Refusal != nil {
			refusal = op.Refusal
		}
		doc.Paths[op.Path][strings.ToLower(op.Method)] = s.operation(op, refusal)
	}
	return doc
}

func (s *schemas) operation(op Operation, refusal any) *operation {
	described := &operation{
		ID: op.ID, Summary: op.Summary, Responses: map[string]response{}, Security: []map[string][]string{},
	}
	if op.Tag != "" {
		described.Tags = []string{op.Tag}
	}
	if !op.Open {
		described.Security = append(described.Security, map[string][]string{bearer: {}})
	}
	for _, p := range op.Parameters {
		described.Parameters = append(described.Parameters, p.in(op.Path))
	}
	if op.Body != nil {
		described.Body = &body{Required: true, Content: s.content(op.Body, strict)}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Answers)) { // the names of the schemas must not depend on chance
		described.Responses[strconv.Itoa(status)] = response{About: http.StatusText(status), Content: s.content(op.Answers[status], lenient)}
	}
	described.Responses["default"] = response{About: "Refused; see the code.", Content: s.content(refusal, lenient)}
	return described
}

func (s *schemas) content(v any, how strictness) map[string]mediaType {
	switch v := v.(type) {
	case nil:
		return nil
	case Lines:
		return map[string]mediaType{mediaLines: {s.of(reflect.TypeOf(v.Of), how)}}
	case Loose:
		return map[string]mediaType{mediaJSON: {s.of(reflect.TypeOf(v.Of), loose)}}
	case Bytes:
		return map[string]mediaType{v.Media: {}}
	default:
		return map[string]mediaType{mediaJSON: {s.of(reflect.TypeOf(v), how)}}
	}
}

func (p Parameter) in(path string) parameter {
	schema := &Schema{Type: "string"}
	if p.Number {
		schema = &Schema{Type: "integer", Minimum: new(float64)}
	}
	schema.Enum = p.OneOf
	if strings.Contains(path, "{"+p.Name+"}") {
		return parameter{p.Name, "path", p.About, true, schema}
	}
	return parameter{p.Name, "query", p.About, false, schema}
}

// Wildcards returns the names of the parts of a path that vary.
func Wildcards(path string) (names []string) {
	for segment := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return slices.Clip(names)
}
