package test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// floors is the package map of the project: a package imports only packages of lower floors. Packages under internal/
// stand outside of it: everybody may import them, and they import nothing but each other.
var floors = map[string]int{
	"cmd/parley": 7, "test": 7, "examples": 7,
	"bench":     6,
	"frontends": 5, "admin": 5,
	"sessions": 4, "rooms": 4,
	"channels": 3,
	"acks":     2, "backup": 2, "quota": 2,
	"tenants": 1,
	"broker":  0,
}

// steps orders what the dialects have in common below frontends, the workers' SDK under the workers, and the tests' rig under
// other parts of tests.
var steps = map[string]int{
	"sessions/worker":   0,
	"broker/brokertest": 6, // uses its parent
	"test/rig":          0,
	"frontends/ws":      0, "frontends/frame": 0,
	"frontends/door": 1, "frontends/rest": 1,
	"frontends/conversation": 2, "frontends/conversation/conversationtest": 3,
}

// step orders the packages below one top-level package. A parent may import its children; of the children, those in steps
// stand under the others, which are equals.
func step(rel string) int {
	if s, ok := steps[rel]; ok {
		return s
	}
	if !strings.Contains(rel, "/") || rel == "cmd/parley" {
		return 5
	}
	return 4
}

// rank places a package, given relative to the module, on the map: floor first, then the step within the floor.
func rank(rel string) (place int, known bool) {
	for root := rel; root != "."; root = filepath.Dir(root) {
		if floor, ok := floors[root]; ok {
			return floor*10 + step(rel), true
		}
	}
	return 0, false
}

// mayImport reports whether the map lets package from import package to.
func mayImport(from, to string) bool {
	if internal(to) {
		return true
	}
	if internal(from) {
		return false
	}
	f, _ := rank(from)
	t, _ := rank(to)
	return t < f
}

func internal(rel string) bool { return strings.HasPrefix(rel, "internal/") }

func TestImportsGoDownOnly(t *testing.T) {
	t.Parallel()
	const module = "parley/"
	list := exec.CommandContext(t.Context(), "go", "list", "-f",
		`{{.ImportPath}}: {{join .Imports " "}} {{join .TestImports " "}} {{join .XTestImports " "}}`, "./...")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		from := strings.TrimPrefix(pkg, module)
		if _, known := rank(from); !known && !internal(from) {
			t.Errorf("%s is not on the map of packages: give it a floor in docs and in this test", from)
		}
		for imported := range strings.FieldsSeq(imports) {
			to, own := strings.CutPrefix(imported, module)
			if !own || to == from { // an external test imports its own package
				continue
			}
			if !mayImport(from, to) {
				t.Errorf("%s imports %s: imports go down the floors only, never sideways or up", from, to)
			}
		}
	}
}

func TestFloorsJudgeImports(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"cmd/parley", "frontends", true},
		{"frontends", "cmd/parley", false},
		{"frontends", "admin", false},
		{"frontends", "frontends/agents", true},
		{"frontends/agents", "frontends", false},
		{"frontends/agents", "frontends/ws", true},
		{"frontends/agents", "frontends/chat", false},
		{"frontends/ws", "frontends/agents", false},
		{"frontends/chat", "frontends/conversation", true},
		{"frontends/conversation", "frontends/door", true},
		{"frontends/conversation", "frontends/chat", false},
		{"frontends/door", "frontends/conversation", false},
		{"frontends/ws", "channels", true},
		{"sessions", "rooms", false},
		{"sessions", "sessions/worker", true},
		{"sessions/worker", "sessions", false},
		{"sessions/worker/echo", "sessions/worker", true},
		{"sessions/worker/echo", "sessions/worker/openai", false},
		{"broker", "internal/fault", true},
		{"internal/fault", "broker", false},
		{"tenants", "broker", true},
		{"broker/brokertest", "broker", true},
		{"broker", "broker/brokertest", false},
		{"tenants", "broker/brokertest", true},
		{"tenants", "acks", false},
		{"test", "test/rig", true},
		{"cmd/parley", "bench", true},
		{"bench", "admin", true},
		{"admin", "bench", false},
	} {
		if got := mayImport(c.from, c.to); got != c.want {
			t.Errorf("mayImport(%s, %s) = %v, want %v", c.from, c.to, got, c.want)
		}
	}
}
