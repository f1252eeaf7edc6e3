package ws_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails when a test leaves a goroutine behind. Started by a benchmark, it is the other end of its connections.
func TestMain(m *testing.M) {
	if os.Getenv(swarmEnv) != "" {
		os.Exit(swarmMain(os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}
