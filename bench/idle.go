package bench

import (
	"context"
	"fmt"

	"parley/internal/fault"
)

// Idle is connections that are subscribed and say nothing.
type Idle struct {
	Connections int
	Channels    int // that the connections are spread over
}

// Run implements Scenario. The cost of a unit is that of a connect; the memory is read when the connections were left
// alone for a while. At the end each channel gets one message, which shows that the connections were subscribed.
func (c Idle) Run(ctx context.Context, s *Session) (*Result, error) {
	if c.Connections < 1 || c.Channels < 1 {
		return nil, fault.New(fault.Usage, "There has to be a connection and a channel.")
	}
	r := &Result{
		Scenario: "idle", Unit: "connection",
		Setting: fmt.Sprintf("%s in %s", plural(uint64(c.Connections), "connection"), plural(uint64(c.Channels), "channel")),
	}
	f := &flow{streams: c.Channels, spread: c.Connections, publishers: 1, size: smallSize, rate: 1}
	if err := f.build(s); err != nil {
		return nil, err
	}
	defer func() {
		f.close()
		r.Counts = f.counts()
	}()
	if err := f.connectSenders(ctx); err != nil {
		return nil, err
	}
	s.Progress("connecting")
	before, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.connectTakers(ctx); err != nil {
		return nil, err
	}
	after, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	r.fill(before, after, uint64(c.Connections))
	r.Latency = f.latency.summary()
	more, err := s.settle(ctx, r.Broker, before)
	if err != nil {
		return nil, err
	}
	if r.Broker != nil {
		r.Broker.PerConn = more / float64(c.Connections)
	}
	if err := f.tell(ctx, f.all, 1); err != nil {
		return nil, err
	}
	return r, f.drain(ctx, f.arrived)
}

// smallSize is the content of messages that are there to be counted only.
const smallSize = 64
