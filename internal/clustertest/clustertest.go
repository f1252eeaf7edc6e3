// Package clustertest makes what the nodes of a test's cluster have in common before they start, in whatever process they
// run: their addresses and the operator's seed.
package clustertest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nkeys"
)

// Ports below those that systems give to whoever asks for any. Such a one may be given to a connection between here and the
// start of the node, or while the node is down.
const (
	firstPort = 12_000
	ports     = 20_000
)

// FreeAddrs returns n addresses of this machine that nobody listens on.
func FreeAddrs(t testing.TB, n int) (all []string) {
	t.Helper()
	var listening net.ListenConfig
	for range 1000 {
		if len(all) == n {
			return all
		}
		l, err := listening.Listen(t.Context(), "tcp", fmt.Sprint("127.0.0.1:", firstPort+rand.N(ports)))
		if err != nil {
			continue // that one is taken
		}
		defer l.Close() // at the end, so that all differ
		all = append(all, l.Addr().String())
	}
	t.Fatalf("found %d free ports, want %d", len(all), n)
	return nil
}

// OperatorSeed returns a new file with the operator's seed that every node of a cluster gets. It is removed with the test.
func OperatorSeed(t testing.TB) string {
	t.Helper()
	kp, err := nkeys.CreateOperator()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := kp.Seed()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "operator.seed")
	if err := os.WriteFile(name, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
