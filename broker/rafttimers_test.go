package broker

import (
	"testing"
	"time"
)

// serverTimers are the timers as the server was built with them: package variables are set before any test runs.
var serverTimers = [...]time.Duration{minElectionTimeout, maxElectionTimeout, hbInterval}

// TestRaftTimersAreTheServers fails when the server has renamed its timers: what is linked would then be zero.
func TestRaftTimersAreTheServers(t *testing.T) {
	t.Parallel()
	if want := [...]time.Duration{4 * time.Second, 9 * time.Second, time.Second}; serverTimers != want {
		t.Errorf("the server's timers are %v, want %v: see docs/adr/0005", serverTimers, want)
	}
}
