package bench

import (
	"context"
	"fmt"
)

// Channels is many small channels, each with one publisher.
type Channels struct {
	Channels    int
	Subscribers int     // of each channel
	Size        int     // of the content, in bytes
	Rate        float64 // messages a second in all channels together. Zero means as fast as InFlight allows.
	InFlight    int     // messages in all channels together that are not delivered yet
	Connections int     // that share the publishing, and as many the receiving. Zero means one for each publisher and subscriber.
}

// Run implements Scenario.
func (c Channels) Run(ctx context.Context, s *Session) (*Result, error) {
	r := &Result{Scenario: "channels", Unit: "delivery"}
	if c.Connections > 0 {
		r.Setting = fmt.Sprintf("%s over %s to publish and as many to receive, %d bytes, %g messages/s", plural(uint64(c.Channels), "channel"),
			plural(uint64(c.Connections), "connection"), c.Size, c.Rate)
		return c.shared(ctx, s, r)
	}
	f := &flow{
		streams: c.Channels, subscribers: c.Subscribers, size: c.Size, rate: c.Rate,
		window: max(1, c.InFlight/max(1, c.Channels)), burst: 1,
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	r.Setting = fmt.Sprintf("%s of 1 publisher to %s, %d bytes, %s", plural(uint64(c.Channels), "channel"),
		plural(uint64(c.Subscribers), "subscriber"), c.Size, f.speed())
	return f.run(ctx, s, r)
}
