package test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"parley/test/rig"
)

// bill is what a tenant has used of a cluster, as far as it is known exactly.
type bill struct {
	Tenant      string `json:"tenant"`
	Connections int    `json:"connections"`
	Received    int    `json:"received"`
	Stored      int    `json:"stored"`
}

// spend has a tenant use each node, the later ones more, and returns what that was.
func spend(t *testing.T, nodes []*rig.Server) bill {
	t.Helper()
	newTenant(t, nodes[0], "paid")
	all := bill{Tenant: "paid"}
	for i, n := range nodes {
		s := tenant{Server: n, t: t, id: "paid"}.agent(fmt.Sprint("agent-", i), "general")
		for m := range i + 1 {
			s.Publish(m)
			all.Received, all.Stored = all.Received+1, all.Stored+1
		}
		all.Connections++
		if i == len(nodes)-1 {
			wantOpen(t, nodes, all)
		}
		defer s.Close()
	}
	return all
}

// wantBill checks that every node tells the same sum.
func wantBill(t *testing.T, nodes []*rig.Server, when string, want bill) {
	t.Helper()
	for i, n := range nodes {
		var report struct{ Usage []bill }
		if err := json.Unmarshal([]byte(n.MustCLI("usage", "--tenant", want.Tenant, "--json")), &report); err != nil {
			t.Fatal(err)
		}
		if len(report.Usage) != 1 || report.Usage[0] != want {
			t.Errorf("%s n%d says that %+v was used, want %+v", when, i+1, report.Usage, want)
		}
	}
}

// wantOpen checks that the live table adds the nodes up.
func wantOpen(t *testing.T, nodes []*rig.Server, want bill) {
	t.Helper()
	var table struct {
		Nodes   []struct{ Name string }
		Tenants []struct {
			Tenant string
			Open   int `json:"open_connections"`
		}
	}
	if err := json.Unmarshal([]byte(nodes[0].MustCLI("top", "--once", "--json", "--every", "100ms")), &table); err != nil {
		t.Fatal(err)
	}
	open := -1
	for _, row := range table.Tenants {
		if row.Tenant == want.Tenant {
			open = row.Open
		}
	}
	if len(table.Nodes) != len(nodes) || open != want.Connections {
		t.Errorf("the table of %d nodes has %d open connections, want %d of %d", len(table.Nodes), open, want.Connections, len(nodes))
	}
}

// backUp backs a tenant up while a node is down, which may have to wait for new leaders, and looks whether all is in it.
func backUp(t *testing.T, node *rig.Server, want bill) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "paid.tar.gz")
	await(t, "a backup while a node is down", func() bool {
		return node.CLI("backup", "--tenant", want.Tenant, "--out", file).Code == 0
	})
	if out := node.MustCLI("backup", "verify", file); !strings.Contains(out, want.Tenant) {
		t.Errorf("the backup holds %s", out)
	}
}
