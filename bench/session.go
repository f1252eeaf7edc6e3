package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"parley/admin"
	"parley/internal/fault"
)

// Options say how a scenario is run.
type Options struct {
	Addresses []string      // host:port where clients connect, in turn. Defaults to the first that each node names.
	Warmup    time.Duration // before anything counts. Zero means none.
	Duration  time.Duration // what counts, of scenarios that last. Defaults to 5s; an hour with the warm-up at most.
	Settle    time.Duration // how long the broker is left alone before its memory is read. Zero means not at all.
	Keep      bool          // leave what was made in place, for what is measured after a restart
	Progress  func(string)  // told once a second what is going on, from one goroutine at a time; nil tells nobody
}

// Scenario is one kind of load.
type Scenario interface {
	// Run puts the load on the broker and says what it has found.
	Run(context.Context, *Session) (*Result, error)
}

// Session is one run against a broker, in a tenant of its own.
type Session struct {
	Options
	nodes   []*admin.Client
	doors   []*door
	turn    atomic.Uint32 // connections that were opened
	retried atomic.Uint64 // connections that the broker refused for the moment
	buffers *buffers
	started time.Time

	mu      sync.Mutex
	tenants []*tenant // guarded by mu while they are made
}

// Run makes a tenant, runs the scenario in it and removes the tenant, also when ctx ends. The broker has one node or
// several of a cluster: the first one makes the tenant, connections are spread over all, and all count in what it costs.
func Run(ctx context.Context, nodes []*admin.Client, opts Options, scenario Scenario) (_ *Result, err error) {
	if opts.Duration <= 0 {
		opts.Duration = 5 * time.Second
	}
	if opts.Warmup+opts.Duration > maxRun {
		return nil, fault.New(fault.Usage, "A run lasts an hour at most.")
	}
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	s := &Session{Options: opts, nodes: nodes, buffers: newBuffers(), started: time.Now()}
	if s.doors, err = openDoors(ctx, nodes, opts.Addresses); err != nil {
		return nil, err
	}
	defer func() {
		if opts.Keep {
			return
		}
		if left := s.withdraw(ctx); err == nil {
			err = left
		}
	}()
	if err := s.makeTenants(ctx, 1); err != nil {
		return nil, err
	}
	return scenario.Run(ctx, s)
}

// micros is the time since the session began, as markers have it.
func (s *Session) micros() uint32 { return micros(time.Since(s.started)) }

// pause waits, and reports whether ctx still lasts.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
