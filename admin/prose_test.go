package admin

import (
	"testing"

	"parley/internal/openapi"
	"parley/internal/openapi/prose"
)

// TestProse wants a comment beside every field of every type that the API takes or gives, and compares what the description
// says with them. With -update it writes the description's file: go test ./admin -run Prose -update
func TestProse(t *testing.T) {
	s := &Server{cfg: Config{Info: func() Info { return Info{} }}}
	prose.Check(t, openapi.Structs(s.api()), "..", "prose.json")
	for _, member := range s.describe().Undescribed() {
		t.Errorf("%s has no description", member)
	}
}
