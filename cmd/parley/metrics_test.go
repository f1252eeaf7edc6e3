package main

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"parley/broker"
	"parley/internal/meter"
	"parley/sessions"
	"parley/tenants"
)

// startNode runs a node in this process until the test ends.
func startNode(t *testing.T, cfg nodeConfig) *node {
	t.Helper()
	cfg.Broker.DataDir, cfg.Broker.Listen = t.TempDir(), broker.ListenOff
	cfg.Listen, cfg.AdminListen = []string{"127.0.0.1:0"}, "127.0.0.1:0"
	n, err := openNode(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// scrape gets a page of metrics.
func scrape(t *testing.T, n *node, path, key string) (status int, page string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", n.info.Admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func keyIn(t *testing.T, n *node, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(n.cfg.Broker.DataDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// families returns all that a node with a tenant reports.
func families(t *testing.T, n *node) []*meter.Family {
	t.Helper()
	if _, _, err := n.registry.Create(t.Context(), tenants.Spec{ID: "acme"}); err != nil {
		t.Fatal(err)
	}
	var r meter.Report
	for _, s := range append(n.sources, meter.SourceFunc(n.report), reportLogLevel(n.cfg.LogLevel), meter.SourceFunc(n.reportTenants)) {
		s.Report(&r)
	}
	return r.Families()
}

// TestMetricsAreDocumented compares what a node reports with the tables of docs/observability.md: name, labels and help of
// each metric.
func TestMetricsAreDocumented(t *testing.T) {
	n := startNode(t, nodeConfig{NamedTenants: 10})
	page, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(parley_\\w+)`.*$").FindAllStringSubmatch(string(page), -1) {
		documented[row[1]] = row[0]
	}
	kinds := map[meter.Kind]string{meter.Counting: "counter", meter.Measuring: "gauge", meter.Timing: "histogram", meter.Describing: "gauge"}
	for _, f := range families(t, n) {
		labels := ""
		if len(f.Labels) > 0 {
			labels = " `" + strings.Join(f.Labels, "`, `") + "`"
		}
		want := fmt.Sprintf("| `%s` | %s |%s | %s |", f.Name, kinds[f.Kind], labels, strings.TrimSuffix(f.Help, "."))
		if documented[f.Name] != want {
			t.Errorf("docs/observability.md should have the line\n%s\nhas\n%s", want, documented[f.Name])
		}
		delete(documented, f.Name)
	}
	for name := range maps.Keys(documented) {
		t.Errorf("docs/observability.md has %s, which nobody reports", name)
	}
}

// TestMetricsKeepTheConventions has the library's own linter look at both pages, which only the keys open.
func TestMetricsKeepTheConventions(t *testing.T) {
	n := startNode(t, nodeConfig{NamedTenants: 2})
	for i := range 4 {
		if _, _, err := n.registry.Create(t.Context(), tenants.Spec{ID: tenants.ID(fmt.Sprintf("t%d", i))}); err != nil {
			t.Fatal(err)
		}
	}
	admin, scraper := keyIn(t, n, "admin.key"), keyIn(t, n, "metrics.key")
	for _, c := range []struct {
		path, key string
		status    int
	}{
		{"/metrics", "", 401},
		{"/metrics", "wrong" + scraper, 401},
		{"/metrics", admin, 200},
		{"/metrics", scraper, 200},
		{"/metrics/tenants", scraper, 200},
		{"/debug/pprof/", scraper, 401},
		{"/debug/pprof/", admin, 200},
		{"/debug/pprof/goroutine?debug=1", admin, 200},
		{"/admin/v1/info", scraper, 401},
	} {
		status, page := scrape(t, n, c.path, c.key)
		if status != c.status {
			t.Errorf("%s: %d %s, want %d", c.path, status, page, c.status)
		}
		if status != http.StatusOK || !strings.HasPrefix(c.path, "/metrics") {
			continue
		}
		problems, err := promlint.New(strings.NewReader(page)).Lint()
		if err != nil {
			t.Errorf("%s can't be parsed: %v", c.path, err)
		}
		for _, p := range problems {
			if strings.HasPrefix(p.Metric, "parley_") {
				t.Errorf("%s: %s", p.Metric, p.Text)
			}
		}
	}
	_, page := scrape(t, n, "/metrics/tenants", scraper)
	var named []string
	for _, m := range regexp.MustCompile(`parley_tenant_connections\{tenant="([^"]+)"}`).FindAllStringSubmatch(page, -1) {
		named = append(named, m[1])
	}
	slices.Sort(named)
	if want := []string{"(others)", "t0", "t1"}; !slices.Equal(named, want) {
		t.Errorf("the tenants' metrics name %v, want %v", named, want)
	}
}

// TestReadinessFollowsTheDisk: who asks whether a node is ready learns that it can't store.
func TestReadinessFollowsTheDisk(t *testing.T) {
	n := startNode(t, nodeConfig{})
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body := scrape(t, n, path, ""); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	full := startNode(t, nodeConfig{Broker: broker.Config{MinFree: 1 << 62}})
	for range 1000 { // it looks at its disk once it runs
		if status, _ := scrape(t, full, "/readyz", ""); status == http.StatusServiceUnavailable {
			break
		}
	}
	if status, body := scrape(t, full, "/readyz", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, "STORAGE_FULL") && !strings.Contains(body, "disk is full") {
		t.Errorf("/readyz of a full disk: %d %s", status, body)
	}
	if status, body := scrape(t, full, "/healthz", ""); status != http.StatusOK {
		t.Errorf("/healthz of a full disk: %d %s", status, body)
	}
	if _, page := scrape(t, full, "/metrics", keyIn(t, full, "metrics.key")); !strings.Contains(page, "\nparley_ready 0\n") {
		t.Error("the metrics say that a node with a full disk is ready")
	}
}

// TestWhoWaitsIsShown: users who wait for a human are on both pages, unless their tenant is suspended.
func TestWhoWaitsIsShown(t *testing.T) {
	n := startNode(t, nodeConfig{NamedTenants: 10})
	acme, _, err := n.registry.Create(t.Context(), tenants.Spec{ID: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	ann := sessions.Principal{Tenant: "acme", Account: acme.Account, User: "ann"}
	info, _, err := n.talks.Create(t.Context(), ann, sessions.Spec{})
	if err == nil {
		err = n.talks.Escalate(t.Context(), ann, info.ID, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	key := keyIn(t, n, "metrics.key")
	await := func(path, line string) {
		t.Helper()
		for { // until the test's own deadline
			status, page := scrape(t, n, path, key)
			if status == http.StatusOK && strings.Contains(page, "\n"+line+"\n") {
				return
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case <-t.Context().Done():
				t.Fatalf("%s has no %s", path, line)
			}
		}
	}
	await("/metrics", "parley_handoffs_waiting 1")
	await("/metrics/tenants", `parley_tenant_handoffs_waiting{tenant="acme"} 1`)
	if _, err := n.registry.Suspend(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	await("/metrics", "parley_handoffs_waiting 0")
	await("/metrics", "parley_handoff_oldest_wait_seconds 0")
}
