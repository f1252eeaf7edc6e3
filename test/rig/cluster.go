package rig

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"parley/internal/clustertest"
)

// ClusterOptions are those of a node of a cluster whose nodes listen to each other on addrs.
func ClusterOptions(t testing.TB, addrs []string, i int, seedFile string) Options {
	t.Helper()
	return nodeOptions(t, i, addrs[i], addrs, seedFile)
}

func nodeOptions(t testing.TB, i int, listen string, routes []string, seedFile string) Options {
	t.Helper()
	args := []string{
		"--cluster-name", "test", "--node-name", fmt.Sprint("n", i+1), "--cluster-listen", listen,
		"--routes", "nats://" + strings.Join(routes, ",nats://"), "--operator-seed-file", seedFile,
	}
	if i == 0 {
		args = append(args, "--cluster-found")
	}
	return Options{Data: filepath.Join(t.TempDir(), "data"), Args: args}
}

// StartParted is StartCluster with a wall between the nodes.
func (b Binary) StartParted(t testing.TB, n int) ([]*Server, *Wall) {
	t.Helper()
	addrs, seed := clustertest.FreeAddrs(t, n), clustertest.OperatorSeed(t)
	w := NewWall(t, addrs)
	all := make([]*Server, n)
	for i := range all {
		o := nodeOptions(t, i, addrs[i], w.Routes(i), seed)
		o.Args = append(o.Args, "--cluster-advertise", "127.0.0.1:1") // so that nobody hears of a way around the wall
		all[i] = b.prepare(t, o)
		all[i].launch()
	}
	for _, s := range all {
		s.AwaitStart()
	}
	return all, w
}

// StartCluster starts n servers that are one cluster, and returns once all are ready.
func (b Binary) StartCluster(t testing.TB, n int) []*Server {
	t.Helper()
	return b.StartClusterAt(t, clustertest.FreeAddrs(t, n), clustertest.OperatorSeed(t))
}

// StartClusterAt is StartCluster with nodes that listen to each other on addrs and have the operator's seed in a file.
func (b Binary) StartClusterAt(t testing.TB, addrs []string, seedFile string) []*Server {
	t.Helper()
	all := make([]*Server, len(addrs))
	for i := range all {
		all[i] = b.prepare(t, ClusterOptions(t, addrs, i, seedFile))
		all[i].launch()
	}
	for _, s := range all {
		s.AwaitStart()
	}
	return all
}

// BeginRestart is Restart that does not wait; AwaitStart does.
func (s *Server) BeginRestart() {
	s.t.Helper()
	s.launch()
}

// AwaitStart returns once a server that was started is ready.
func (s *Server) AwaitStart() {
	s.t.Helper()
	if !s.awaitReady() {
		s.t.Fatalf("parley serve ended before it was ready:\n%s", s.output)
	}
	s.openGates()
}
