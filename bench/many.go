package bench

import (
	"context"
	"fmt"

	"parley/internal/fault"
)

// Tenants is tenants with an agent and a channel each, between which the messages are spread.
type Tenants struct {
	Tenants int
	Rate    float64 // messages a second in all of them together
	Size    int     // of the content, in bytes
}

// Run implements Scenario. A tenant's memory is what the broker holds more at the end than before the first one was made.
func (c Tenants) Run(ctx context.Context, s *Session) (_ *Result, err error) {
	f := &flow{streams: c.Tenants, size: c.Size, rate: c.Rate, window: 1, burst: 1, unacknowledged: fewUnacknowledged, dialing: making}
	if c.Rate <= 0 {
		return nil, fault.New(fault.Usage, "Messages between many go at a rate above 0.")
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	before, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	made, err := s.part(ctx, "making tenants", "tenant", c.Tenants-1, nil, func() error { return s.makeTenants(ctx, c.Tenants-1) })
	if err != nil {
		return nil, err
	}
	if err := f.build(s); err != nil {
		return nil, err
	}
	r := &Result{
		Scenario: "tenants", Unit: "ack",
		Setting: fmt.Sprintf("%s with an agent each, %d bytes, %g messages/s", plural(uint64(c.Tenants), "tenant"), c.Size, c.Rate),
	}
	defer func() {
		f.close()
		r.Counts = f.counts()
	}()
	opened, err := s.part(ctx, "a connection and a message each", "tenant", c.Tenants, nil, func() error { return f.first(ctx, f.connectSenders) })
	if err != nil {
		return nil, err
	}
	r.Parts = []Part{made, opened}
	if err := f.measure(ctx, r); err != nil || r.Broker == nil {
		return r, err
	}
	more, err := s.settle(ctx, r.Broker, before)
	r.Broker.PerTenant = more / float64(c.Tenants)
	return r, err
}

// first connects, and sends a message to each stream.
func (f *flow) first(ctx context.Context, connect func(context.Context) error) error {
	if err := connect(ctx); err != nil {
		return err
	}
	f.session.Progress("a first message to each channel")
	if err := f.tell(ctx, f.all, 1); err != nil {
		return err
	}
	return f.drain(ctx, f.arrived)
}

// fewUnacknowledged is room for a stream's messages when there are very many streams.
const fewUnacknowledged = 16

// Behind each of resumed channels are missed messages when it is resumed.
const (
	resumed = 500
	missed  = 10
)

// shared is Channels over connections that share them.
func (c Channels) shared(ctx context.Context, s *Session, r *Result) (_ *Result, err error) {
	f := &flow{
		streams: c.Channels, subscribers: c.Subscribers, publishers: c.Connections, size: c.Size, rate: c.Rate, window: 1, burst: 1,
		unacknowledged: fewUnacknowledged,
	}
	switch err := f.check(); {
	case err != nil:
		return nil, err
	case c.Rate <= 0:
		return nil, fault.New(fault.Usage, "Messages between many go at a rate above 0.")
	case c.Subscribers < 1 || c.Subscribers > c.Connections || c.Channels*c.Subscribers > c.Connections*subscriptions:
		return nil, fault.New(fault.Usage, "A connection has at most %d subscriptions, and the subscribers of a channel are on different ones.", subscriptions)
	}
	if err := f.build(s); err != nil {
		return nil, err
	}
	if err := f.bundleUp(c.Connections); err != nil {
		return nil, err
	}
	defer func() {
		f.close()
		r.Counts = r.Counts.plus(f.counts())
	}()
	if err := f.connectSenders(ctx); err != nil {
		return nil, err
	}
	if err := f.eachBundle(ctx, (*bundle).connect); err != nil {
		return nil, err
	}
	before, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	opened, err := s.part(ctx, "a subscription and a message each", "channel", c.Channels, nil, func() error {
		return f.first(ctx, func(ctx context.Context) error { return f.eachBundle(ctx, (*bundle).subscribe) })
	})
	if err != nil {
		return nil, err
	}
	if err := f.measure(ctx, r); err != nil {
		return nil, err
	}
	more, err := s.settle(ctx, r.Broker, before)
	if err != nil {
		return nil, err
	}
	if r.Broker != nil {
		r.Broker.PerChannel = more / float64(c.Channels)
	}
	back, err := f.resumeSome(ctx, &r.Counts)
	r.Parts = []Part{opened, back}
	return r, err
}

// resumeSome measures how long it takes to get what was missed in some of the channels, all of which are in use.
func (f *flow) resumeSome(ctx context.Context, counts *Counts) (part Part, err error) {
	some := f.some(resumed)
	if err := f.tell(ctx, some, missed); err != nil {
		return part, err
	}
	if err := f.drain(ctx, f.arrived); err != nil {
		return part, err
	}
	return f.resumeEach(ctx, "resuming", some, missed, len(some), counts)
}

// some returns a number of streams, spread over all.
func (f *flow) some(n int) (some []*stream) {
	n = min(n, len(f.all))
	for i := range n {
		some = append(some, f.all[i*len(f.all)/n])
	}
	return some
}

// resumeEach measures resuming streams in turn behind all but the newest messages of each.
func (f *flow) resumeEach(ctx context.Context, name string, streams []*stream, messages, times int, counts *Counts) (part Part, err error) {
	p, err := f.openProbe(ctx)
	if err != nil {
		return part, err
	}
	defer p.close(counts)
	since := make([]uint64, len(streams))
	for i, st := range streams {
		newest, _, err := p.history(ctx, st, 0, messages)
		if err != nil {
			return part, err
		}
		p.check(newest.numbers, st.ledger.sent.Load()-uint32(messages), messages)
		since[i] = newest.first - 1
	}
	var latency latencies
	return f.session.part(ctx, name, "resume", times, &latency, func() error {
		for i := range times {
			took, err := p.resume(ctx, streams[i%len(streams)], since[i%len(streams)], messages)
			if err != nil {
				return err
			}
			latency.add(micros(took))
		}
		return nil
	})
}
