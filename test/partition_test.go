package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/test/rig"
)

// TestPartition parts each of three nodes in turn from the others, while agents on all of them write and read, and lets
// them together again. The two go on; whoever stays with the one is told that nothing can be stored. In the end it is as
// in TestClusterKillUnderLoad, on every node.
func TestPartition(t *testing.T) {
	nodes, wall := parley.StartParted(t, 3)
	acme := newTenant(t, nodes[0], "acme")
	fleet := startFleet(t, acme, nodes)
	for i := range nodes {
		partOff(t, fleet, wall, nodes, i)
	}
	fleet.finish(acme)
	for _, n := range nodes {
		fleet.checkStored(history(t, tenant{Server: n, t: t, id: acme.id}, busy))
		if said := history(t, tenant{Server: n, t: t, id: acme.id}, "news"); len(said) != len(nodes) {
			t.Errorf("%d messages that were repeated once are stored %d times", len(nodes), len(said))
		}
	}
}

// partOff parts a node from the others for as long as it takes until all have noticed.
func partOff(t *testing.T, fleet *fleet, wall *rig.Wall, nodes []*rig.Server, i int) {
	t.Helper()
	alone, agent := nodes[i], fmt.Sprint("stays-", i)
	readiness := func(want int) func() bool {
		return func() bool { return rig.Do(t, http.MethodGet, alone.AdminURL()+"/readyz", "", "").Status == want }
	}
	stays := tenant{Server: alone, t: t, id: "acme"}.agent(agent, "news")
	fleet.awaitAcks()
	for _, n := range nodes {
		awaitAgent(t, n, agent, "online")
	}

	parted := time.Now()
	fleet.gap.Store(0)
	wall.Part(i, true)
	fleet.awaitAcks()
	t.Logf("without n%d: longest time between two acknowledgements %s", i+1, time.Duration(fleet.gap.Load()))
	lost := rig.Frame{"type": "message", "content": "?"}
	if answer := stays.Ask(lost); answer.Type() != "ERROR" || answer["code"] != "UNAVAILABLE" && answer["code"] != "OUTCOME_UNKNOWN" {
		t.Errorf("the node that is alone answers %s", answer)
	}
	await(t, "the node that is alone to say that it is not ready", readiness(http.StatusServiceUnavailable))
	if i == 0 {
		key := strings.TrimSpace(nodes[1].MustCLI("adminkey", "create", "ann")) // on the other side of the wall
		res := rig.Do(t, http.MethodGet, alone.AdminURL()+"/admin/v1/tenants", key, "")
		if res.Status != http.StatusServiceUnavailable {
			t.Errorf("the node that is alone answers a named key with %d %s", res.Status, res.Body)
		}
	}
	for j, n := range nodes {
		if j != i {
			awaitAgent(t, n, agent, "offline")
		}
	}
	t.Logf("who was on the node that is alone counted as offline %s after it was parted", time.Since(parted))
	fleet.awaitAcks()

	wall.Part(i, false)
	healed := time.Now()
	await(t, "the node to be ready again", readiness(http.StatusOK))
	for _, n := range nodes {
		awaitAgent(t, n, agent, "online")
	}
	t.Logf("and as online on all nodes %s after they met again", time.Since(healed))
	stays.Send(lost)
	stays.Ack(lost.ID())
	stays.Close()
	fleet.awaitAcks()
}

// awaitAgent waits until a node says that of an agent.
func awaitAgent(t *testing.T, n *rig.Server, agent, want string) {
	t.Helper()
	await(t, agent+" to be "+want, func() bool {
		res := rig.Do(t, http.MethodGet, n.AdminURL()+"/admin/v1/tenants/acme/agents/"+agent, n.AdminKey(), "")
		return res.Status == http.StatusOK && strings.Contains(string(res.Body), `"status":"`+want+`"`)
	})
}
