package openapi

import (
	"encoding/json"
	"testing"
	"time"

	v2 "github.com/go-json-experiment/json"
)

type colour string

type inner struct {
	Next *inner `json:"next,omitempty"`
}

type outer struct {
	inner

	ID      string            `json:"id"`
	Colour  colour            `json:"colour,omitempty"`
	Count   uint              `json:"count"`
	At      time.Time         `json:"at,omitzero"`
	Raw     json.RawMessage   `json:"raw,omitzero"`
	Secret  []byte            `json:"secret,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Maybe   *bool             `json:"maybe"`
	Many    []inner           `json:"many"`
	hidden  int
	Skipped int `json:"-"`
}

func TestSchemasFollowTheTypes(t *testing.T) {
	s := newSchemas(nil, nil)
	_ = outer{hidden: 0}
	for _, c := range []struct {
		v    any
		how  strictness
		want string
	}{
		{outer{}, lenient, `{"$ref":"#/components/schemas/Outer"}`},
		{outer{}, strict, `{"$ref":"#/components/schemas/OpenapiOuter"}`},
		{[]int{}, lenient, `{"type":"array","items":{"type":"integer"}}`},
		{1.5, lenient, `{"type":"number"}`},
		{true, lenient, `{"type":"boolean"}`},
	} {
		if got := encode(t, Describe(API{Operations: []Operation{{Method: "GET", Path: "/", Answers: map[int]any{200: c.v}}}, Refusal: 1})); len(got) == 0 {
			t.Error("nothing is described")
		}
		if got := encode(t, s.content(c.v, c.how)[mediaJSON].Schema); got != c.want {
			t.Errorf("%T:\n%s, want\n%s", c.v, got, c.want)
		}
	}
	const want = `{"type":"object","properties":{` +
		`"at":{"type":"string","format":"date-time"},"colour":{"type":"string"},"count":{"type":"integer","minimum":0},"id":{"type":"string"},` +
		`"labels":{"type":"object","additionalProperties":{"type":"string"}},"many":{"type":"array","items":{"$ref":"#/components/schemas/Inner"}},` +
		`"maybe":{"anyOf":[{"type":"boolean"},{"type":"null"}]},"next":{"$ref":"#/components/schemas/Inner"},"raw":{},"secret":{"type":"string","contentEncoding":"base64"}},` +
		`"required":["id","count","maybe","many"]}`
	if got := encode(t, s.named["Outer"]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s.named["OpenapiOuter"].Additional != false {
		t.Error("a request may have members that nobody knows")
	}
}

func TestOperationsAreDescribed(t *testing.T) {
	doc := Describe(API{
		Title: "t", Version: "1", Refusal: inner{},
		Operations: []Operation{
			{
				ID: "put", Method: "POST", Path: "/a/{id}", Summary: "Put.", Tag: "a",
				Parameters: []Parameter{{Name: "id", About: "Id.", OneOf: []string{"x"}}, {Name: "limit", About: "Limit.", Number: true}},
				Body:       inner{}, Answers: map[int]any{201: inner{}, 204: nil},
			},
			{ID: "follow", Method: "GET", Path: "/a/{id}", Summary: "Follow.", Open: true, Answers: map[int]any{200: Lines{inner{}}}},
		},
	})
	const want = `{"follow":{"operationId":"follow","summary":"Follow.","responses":{` +
		`"200":{"description":"OK","content":{"application/x-ndjson":{"schema":{"$ref":"#/components/schemas/OpenapiInner"}}}},` +
		`"default":{"description":"Refused; see the code.","content":{"application/json":{"schema":{"$ref":"#/components/schemas/OpenapiInner"}}}}},"security":[]},`
	if got := encode(t, map[string]any{"follow": doc.Paths["/a/{id}"]["get"]}); got != want[:len(want)-1]+"}" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	const put = `{"operationId":"put","summary":"Put.","tags":["a"],"parameters":[` +
		`{"name":"id","in":"path","description":"Id.","required":true,"schema":{"type":"string","enum":["x"]}},` +
		`{"name":"limit","in":"query","description":"Limit.","schema":{"type":"integer","minimum":0}}],` +
		`"requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Inner"}}}},"responses":{` +
		`"201":{"description":"Created","content":{"application/json":{"schema":{"$ref":"#/components/schemas/OpenapiInner"}}}},` +
		`"204":{"description":"No Content"},` +
		`"default":{"description":"Refused; see the code.","content":{"application/json":{"schema":{"$ref":"#/components/schemas/OpenapiInner"}}}}},` +
		`"security":[{"key":[]}]}`
	if got := encode(t, doc.Paths["/a/{id}"]["post"]); got != put {
		t.Errorf("got  %s\nwant %s", got, put)
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := v2.Marshal(v, v2.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
