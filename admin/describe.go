package admin

import (
	_ "embed" // the prose
	"net/http"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"

	"parley/admin/adminkey"
	"parley/internal/openapi"
	"parley/tenants"
)

// openAPI serves the description of this API.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) error {
	b, err := json.Marshal(s.describe(), json.Deterministic(true))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(b, '\n'))
	return err
}

// describe returns the description of all endpoints.
func (s *Server) describe() *openapi.Document {
	return openapi.Describe(s.api())
}

// proseText is what the comments in the source say of the types; TestProse writes it.
//
//go:embed prose.json
var proseText []byte

// api is what describe describes.
func (s *Server) api() openapi.API {
	api := openapi.API{
		Prose: openapi.ParseProse(proseText),
		Title: "Parley admin API", Version: s.cfg.Info().Version, Refusal: Problem{},
		About: "Administration of a Parley broker. Every request carries an admin key: `Authorization: Bearer KEY`.",
		Enums: map[reflect.Type][]string{
			reflect.TypeFor[tenants.State](): {"creating", "active", "suspending", "suspended", "resuming", "updating", "deleting", "restoring"},
			reflect.TypeFor[tenants.Alg]():   {"HS256", "ES256", "EdDSA", "RS256"},
			reflect.TypeFor[tenants.Scope](): {"chats:read", "chats:write", "rooms"},
			reflect.TypeFor[adminkey.Role](): {"full", "read-only"},
			reflect.TypeFor[Role]():          {"service", "worker"},
			reflect.TypeFor[Phase]():         {"attempt", "outcome"},
		},
	}
	for _, r := range s.table() {
		api.Operations = append(api.Operations, r.operation())
	}
	return api
}

func (r route) operation() openapi.Operation {
	op := openapi.Operation{
		ID: r.id, Method: r.method, Path: prefix + r.path, Summary: r.says, Tag: r.tag(), Body: r.takes, Answers: r.gives,
	}
	known := pathParameters()
	for _, name := range openapi.Wildcards(r.path) {
		for _, p := range known {
			if p.Name == name {
				op.Parameters = append(op.Parameters, p)
			}
		}
	}
	op.Parameters = append(op.Parameters, r.query...)
	return op
}

// tag is what the route is about: the first part of the path that says so.
func (r route) tag() string {
	rest, below := strings.CutPrefix(r.path, ofTenant+"/")
	if !below {
		rest = strings.TrimPrefix(r.path, "/")
	}
	tag, _, _ := strings.Cut(rest, "/")
	return tag
}
