package broker

import (
	"sync"
	"time"
	_ "unsafe" // for linkname
)

// The server's election timers are not settings: 4 to 9 seconds pass before a dead leader is replaced, longer than the
// clients wait for an answer. So they are set where they are; a test sees to it that they still are there
// (docs/adr/0005).

//go:linkname minElectionTimeout github.com/nats-io/nats-server/v2/server.minElectionTimeout
var minElectionTimeout time.Duration

//go:linkname maxElectionTimeout github.com/nats-io/nats-server/v2/server.maxElectionTimeout
var maxElectionTimeout time.Duration

//go:linkname hbInterval github.com/nats-io/nats-server/v2/server.hbInterval
var hbInterval time.Duration

// setRaftTimers sets the timers before the first server of the process that is in a cluster starts. They must not change
// while one runs.
var setRaftTimers = sync.OnceFunc(func() {
	minElectionTimeout = 1000 * time.Millisecond
	maxElectionTimeout = 2000 * time.Millisecond
	hbInterval = 250 * time.Millisecond
})
