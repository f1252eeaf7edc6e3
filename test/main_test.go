// Package test runs the built broker as its users do: a process, its command line, its sockets, its data directory. It
// imports nothing of the broker but the SDK that workers are made with.
package test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"parley/test/rig"
)

// parley is the binary under test, built once under the race detector.
var parley rig.Binary

// clients is where the foreign clients are.
const clients = "clients"

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "parley-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if parley, err = rig.Build(context.Background(), dir); err == nil {
		err = parley.BuildNATS(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
