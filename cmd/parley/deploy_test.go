package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestDeployedQueriesAskForWhatIsThere: every metric in the dashboard and in the alert rules is one that a node shows.
func TestDeployedQueriesAskForWhatIsThere(t *testing.T) {
	n := startNode(t, nodeConfig{NamedTenants: 10})
	known := map[string]bool{}
	for _, f := range families(t, n) {
		known[f.Name] = true
	}
	_, page := scrape(t, n, "/metrics", keyIn(t, n, "metrics.key"))
	for _, m := range regexp.MustCompile(`(?m)^# TYPE ((?:go|process)_\w+)`).FindAllStringSubmatch(page, -1) {
		known[m[1]] = true
	}
	queries := append(rules(t), panels(t)...)
	if len(queries) < 40 {
		t.Errorf("found only %d queries", len(queries))
	}
	for _, q := range queries {
		if strings.Count(q, "(") != strings.Count(q, ")") || strings.Count(q, "{") != strings.Count(q, "}") || strings.Count(q, "[") != strings.Count(q, "]") {
			t.Errorf("%s: not all brackets are closed", q)
		}
		names := regexp.MustCompile(`\b(?:parley|go|process)_\w+`).FindAllString(q, -1)
		if len(names) == 0 && !strings.HasPrefix(q, `up{job="parley"}`) {
			t.Errorf("%s: asks for nothing", q)
		}
		for _, name := range names {
			if base, ok := strings.CutSuffix(name, "_bucket"); ok {
				name = base
			}
			if !known[name] {
				t.Errorf("%s: nobody reports %s", q, name)
			}
		}
	}
}

// rules returns the expressions of the alert rules.
func rules(t *testing.T) (queries []string) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	b := readDeployed(t, "alerts.yaml")
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.Expr == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["fix"] == "" {
				t.Errorf("the rule %q of %s lacks something", r.Alert, g.Name)
			}
			queries = append(queries, r.Expr)
		}
	}
	return queries
}

// panels returns the expressions of the dashboard.
func panels(t *testing.T) (queries []string) {
	t.Helper()
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(readDeployed(t, "grafana-dashboard.json"), &board); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range board.Panels {
		if seen[p.ID] || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q has the id of another one, or asks for nothing", p.Title)
		}
		seen[p.ID] = true
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	return queries
}

func readDeployed(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../deploy/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
