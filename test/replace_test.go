package test

import (
	"os"
	"testing"

	"parley/internal/clustertest"
	"parley/test/rig"
)

// TestDeadNodeIsReplaced kills a node for good while agents write and read, puts a new one in its place and removes the
// old one. In the end the new node is as good as the others: the cluster lives on with it and one of them.
func TestDeadNodeIsReplaced(t *testing.T) {
	addrs, seed := clustertest.FreeAddrs(t, 4), clustertest.OperatorSeed(t)
	nodes := parley.StartClusterAt(t, addrs[:3], seed)
	acme := newTenant(t, nodes[0], "acme")
	fleet := startFleet(t, acme, nodes)
	fleet.awaitAcks()

	if r := nodes[0].CLI("node", "remove", "n2"); r.Code == 0 {
		t.Error("a node was removed that runs")
	}
	fleet.down(1, true)
	nodes[1].Kill()
	if err := os.RemoveAll(nodes[1].Data); err != nil {
		t.Fatal(err)
	}
	fleet.awaitAcks()
	newcomer := parley.Start(t, rig.ClusterOptions(t, addrs, 3, seed))
	await(t, "the dead node to be seen as dead", func() bool { return listNodes(t, nodes[0])["n2"].State == "down" })
	t.Logf("\n%s", nodes[0].MustCLI("node", "list"))
	if out := nodes[2].MustCLI("node", "remove", "n2"); out != "n2" {
		t.Errorf("node remove printed %q", out)
	}
	await(t, "all streams to be on all nodes", func() bool {
		all := listNodes(t, newcomer)
		for _, name := range []string{"n1", "n3", "n4"} {
			n, ok := all[name]
			if !ok || len(all) != 3 || n.State != "up" || n.Behind != 0 || n.Streams == 0 || n.Streams != all["n1"].Streams {
				return false
			}
		}
		return true
	})
	t.Logf("\n%s", nodes[0].MustCLI("node", "list"))
	fleet.awaitAcks()
	if r := nodes[0].CLI("node", "remove", "n2"); r.Code == 0 {
		t.Error("a node was removed twice")
	}

	fleet.down(0, true)
	nodes[0].Kill()
	fleet.awaitAcks()
	fleet.finish(tenant{Server: newcomer, t: t, id: acme.id})
}

// nodeState is what the command line says of a node.
type nodeState struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Streams int    `json:"streams"`
	Behind  int    `json:"behind"`
}

func listNodes(t *testing.T, s *rig.Server) map[string]nodeState {
	t.Helper()
	var list struct {
		Nodes []nodeState `json:"nodes"`
	}
	rig.Do(t, "GET", s.AdminURL()+"/admin/v1/nodes", s.AdminKey(), "").JSON(t, &list)
	all := map[string]nodeState{}
	for _, n := range list.Nodes {
		all[n.Name] = n
	}
	return all
}
