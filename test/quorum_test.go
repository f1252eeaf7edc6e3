package test

import (
	"net/http"
	"strings"
	"testing"

	"parley/test/rig"
)

// TestReadinessFollowsTheQuorum takes two of three nodes away and brings one back.
func TestReadinessFollowsTheQuorum(t *testing.T) {
	t.Parallel()
	nodes := parley.StartCluster(t, 3)
	last := nodes[2]
	readiness := func() rig.Response { return rig.Do(t, http.MethodGet, last.AdminURL()+"/readyz", "", "") }
	if got := readiness(); got.Status != http.StatusOK {
		t.Fatalf("status %d %s, want 200 while all nodes are there", got.Status, got.Body)
	}
	nodes[0].Kill()
	nodes[1].Kill()
	await(t, "the last node to say that it is not ready", func() bool { return readiness().Status == http.StatusServiceUnavailable })
	if p := readiness().Problem(t); p.Code != "UNAVAILABLE" || !strings.Contains(p.Message, "more than half of the cluster's nodes") {
		t.Errorf("it says %+v", p)
	}
	if got := rig.Do(t, http.MethodGet, last.AdminURL()+"/healthz", "", ""); got.Status != http.StatusOK {
		t.Errorf("healthz: status %d, want 200: a restart would not help", got.Status)
	}
	nodes[1].BeginRestart()
	await(t, "the last node to be ready again", func() bool { return readiness().Status == http.StatusOK })
	nodes[1].AwaitStart()
	newTenant(t, last, "acme").agent("ann", "news").Publish("stored")
}
