package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"parley/internal/fault"
)

func TestEveryCodeIsDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../internal/fault/fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	page := read(t, "../docs/errors.md")
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Code" {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		codes++
		row := regexp.MustCompile("(?m)^\\| `" + code + "` \\| [^|]+ \\| (\\d+|–) \\|").FindStringSubmatch(page)
		if row == nil {
			t.Errorf("docs/errors.md does not explain %s", code)
		} else if want := strconv.Itoa(fault.HTTPStatus(fault.Code(code))); row[1] != want && row[1] != "–" {
			t.Errorf("docs/errors.md says that %s is HTTP %s; it is %s", code, row[1], want)
		}
		return true
	})
	if codes == 0 {
		t.Error("found no codes at all")
	}
}

func TestEveryDependencyHasAReason(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	page := read(t, "../docs/dependencies.md")
	for module := range strings.FieldsSeq(string(out)) {
		if !strings.Contains(page, "`"+module+"`") {
			t.Errorf("docs/dependencies.md does not say why %s is needed", module)
		}
	}
}

// TestLinksLeadSomewhere follows the relative links of all pages.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(read(t, path), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
