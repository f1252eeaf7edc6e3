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
}

// Run implements Scenario.
func (c Channels) Run(ctx context.Context, s *Session) (*Result, error) {
	f := &flow{
		streams: c.Channels, subscribers: c.Subscribers, size: c.Size, rate: c.Rate,
		window: max(1, c.InFlight/max(1, c.Channels)), burst: 1,
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.run(ctx, s, &Result{
		Scenario: "channels", Unit: "delivery",
		Setting: fmt.Sprintf("%s of 1 publisher to %s, %d bytes, %s", plural(uint64(c.Channels), "channel"),
			plural(uint64(c.Subscribers), "subscriber"), c.Size, f.speed()),
	})
}
