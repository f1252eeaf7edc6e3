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
	acme := newTenant(t, last, "acme")
	token := acme.token("ann")
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
	// Who is the first to use a tenant there is told when to come again, instead of waiting for as long as it takes.
	res := rig.Do(t, http.MethodGet, last.URL()+"/v1/channels/news/messages", token, "")
	if p := res.Problem(t); res.Status != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "1" || p.Code != "UNAVAILABLE" {
		t.Errorf("the first user of a tenant is told %d %v %+v", res.Status, res.Header, p)
	}
	nodes[1].BeginRestart()
	await(t, "the last node to be ready again", func() bool { return readiness().Status == http.StatusOK })
	nodes[1].AwaitStart()
	acme.agent("ann", "news").Publish("stored")
}
