package brokertest

import (
	"fmt"
	"sync"
	"testing"

	"parley/broker"
	"parley/internal/clustertest"
	"parley/internal/fault"
)

// StartCluster runs n nodes that are one cluster, and returns once all are ready; or one node that knows nothing of
// clusters. They are called n1, n2 and so on.
func StartCluster(t testing.TB, n int) []*Node {
	t.Helper()
	if n == 1 {
		return []*Node{Start(t, broker.Config{})}
	}
	addrs, seed := clustertest.FreeAddrs(t, n), clustertest.OperatorSeed(t)
	nodes, errs := make([]*Node, n), make([]error, n)
	var starting sync.WaitGroup
	for i := range n {
		cfg := broker.Config{
			ServerName: fmt.Sprint("n", i+1), SeedFile: seed,
			Cluster: broker.Cluster{Name: "test", Listen: addrs[i], Routes: addrs, Found: i == 0},
		}
		starting.Go(func() { nodes[i], errs[i] = open(t, cfg) })
	}
	starting.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("open n%d: %v (fix: %s)", i+1, err, fault.Fix(err))
		}
	}
	t.Cleanup(func() { // all at once: the last ones would wait for others that are gone
		var stopping sync.WaitGroup
		for _, n := range nodes {
			stopping.Go(n.Stop)
		}
		stopping.Wait()
	})
	return nodes
}
