package bench

import (
	"context"
	"fmt"

	"parley/internal/fault"
)

// Fanout is one channel with one publisher and many subscribers.
type Fanout struct {
	Subscribers int
	Size        int     // of the content, in bytes
	Rate        float64 // messages a second. Zero means as fast as Window allows.
	Half        bool    // half of what Window allows, which is measured first, as long as the warm-up lasts
	Window      int     // messages that not all subscribers have yet
}

// Run implements Scenario.
func (c Fanout) Run(ctx context.Context, s *Session) (*Result, error) {
	f := &flow{streams: 1, subscribers: c.Subscribers, size: c.Size, rate: c.Rate, window: c.Window, burst: (c.Window + 1) / 2}
	if err := f.check(); err != nil {
		return nil, err
	}
	r := &Result{Scenario: "fanout", Unit: "delivery"}
	switch {
	case c.Half && (c.Rate > 0 || c.Subscribers < 1 || s.Warmup <= 0):
		return nil, fault.New(fault.Usage, "Half of the full rate is measured in a warm-up, with a subscriber, and is no other rate.")
	case c.Half:
		f.half = true
	}
	r, err := f.run(ctx, s, r)
	if r != nil {
		r.Setting = fmt.Sprintf("1 publisher to %s, %d bytes, %s", plural(uint64(c.Subscribers), "subscriber"), c.Size, f.speed())
	}
	return r, err
}

// check refuses what makes no sense.
func (f *flow) check() error {
	const most = 1 << 20
	switch {
	case f.size < markerLen || f.size > maxSize:
		return fault.New(fault.Usage, "A message's content has %d to %d bytes.", markerLen, maxSize)
	case f.streams < 1 || f.streams > most:
		return fault.New(fault.Usage, "There have to be 1 to %d channels.", most)
	case f.subscribers < 0 || f.subscribers > most:
		return fault.New(fault.Usage, "There can't be as many subscribers.")
	case f.rate < 0:
		return fault.New(fault.Usage, "A rate is 0, for as fast as possible, or more.")
	case f.rate == 0 && (f.window < 1 || f.window > ledgerSize):
		return fault.New(fault.Usage, "A window has 1 to %d messages.", ledgerSize)
	}
	return nil
}

// maxSize is the largest content, so that the message stays below the limit of the protocol.
const maxSize = 65_000

// speed says how fast the flow is, in words.
func (f *flow) speed() string {
	if f.half {
		return fmt.Sprintf("half of full rate (%.0f messages/s)", f.rate)
	}
	if f.rate > 0 {
		return fmt.Sprintf("%g messages/s", f.rate)
	}
	return fmt.Sprintf("full rate (window %d)", f.window)
}
