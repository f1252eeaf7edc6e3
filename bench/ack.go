package bench

import (
	"context"
	"fmt"
)

// Ack is publishing and waiting for the ACK, which says that the message is on disk.
type Ack struct {
	Connections int // each publishes to a channel of its own
	Window      int // messages of a connection that are not acknowledged yet; 1 is one after the other
	Size        int // of the content, in bytes
}

// Run implements Scenario.
func (c Ack) Run(ctx context.Context, s *Session) (*Result, error) {
	f := &flow{streams: c.Connections, size: c.Size, window: c.Window, burst: 1}
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.run(ctx, s, &Result{
		Scenario: "ack", Unit: "ack",
		Setting: fmt.Sprintf("%s with %d in flight each, %d bytes", plural(uint64(c.Connections), "connection"), c.Window, c.Size),
	})
}
