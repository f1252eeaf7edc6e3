package bench

import (
	"context"
	"fmt"
	"math/rand/v2"

	"parley/internal/fault"
)

// Stored is looks into channels that hold many messages.
type Stored struct {
	Messages    int // in all channels together
	Channels    int
	Connections int // that publish
	Size        int // of the content, in bytes
	Looks       int // of each kind
}

// What a look asks for.
const (
	pageMessages = 50
	resumeBy     = 100
)

// Run implements Scenario. The load is filling the channels; its parts are looks, one after the other.
func (c Stored) Run(ctx context.Context, s *Session) (_ *Result, err error) {
	f := &flow{streams: c.Channels, publishers: c.Connections, size: c.Size, rate: 1}
	switch err := f.check(); {
	case err != nil:
		return nil, err
	case c.Looks < 1 || c.Connections < 1 || c.Messages < resumeBy*c.Channels:
		return nil, fault.New(fault.Usage, "There has to be a look and a connection, and each channel has to hold %d messages.", resumeBy)
	}
	if err := f.build(s); err != nil {
		return nil, err
	}
	r := &Result{
		Scenario: "stored", Unit: "message",
		Setting: fmt.Sprintf("%s of %d bytes in %s", plural(uint64(c.Messages), "message"), c.Size, plural(uint64(c.Channels), "channel")),
	}
	defer func() {
		f.close()
		r.Counts = r.Counts.plus(f.counts())
	}()
	if err := f.connectSenders(ctx); err != nil {
		return nil, err
	}
	if err := c.fill(ctx, f, r); err != nil {
		return nil, err
	}
	for _, look := range []func(context.Context, *flow, *Counts) (Part, error){c.newest, c.anywhere, c.fromStore, c.fromMemory} {
		part, err := look(ctx, f, &r.Counts)
		if err != nil {
			return nil, err
		}
		r.Parts = append(r.Parts, part)
	}
	return r, nil
}

// fill stores the messages.
func (c Stored) fill(ctx context.Context, f *flow, r *Result) error {
	from, err := f.session.read(ctx)
	if err != nil {
		return err
	}
	if err := f.tell(ctx, f.all, c.Messages/c.Channels); err != nil {
		return err
	}
	if err := f.drain(ctx, f.arrived); err != nil {
		return err
	}
	to, err := f.session.read(ctx)
	if err != nil {
		return err
	}
	r.fill(from, to, f.acked.Load())
	r.Latency = f.latency.summary()
	if _, err := f.session.settle(ctx, r.Broker, from); err != nil {
		return err
	}
	if missing := f.sent.Load() - f.acked.Load(); missing > 0 {
		return fault.New(fault.Internal, "%d messages were not acknowledged.", missing)
	}
	return nil
}

// newest looks at the newest messages of the channels in turn.
func (c Stored) newest(ctx context.Context, f *flow, counts *Counts) (Part, error) {
	return c.look(ctx, f, counts, fmt.Sprintf("the newest %d messages", pageMessages), func(p *probe, i int, latency *latencies) error {
		st := f.all[i%len(f.all)]
		found, took, err := p.history(ctx, st, 0, pageMessages)
		latency.add(micros(took))
		p.check(found.numbers, st.ledger.sent.Load()-pageMessages, pageMessages)
		return err
	})
}

// anywhere looks behind random places, at which there are enough messages left.
func (c Stored) anywhere(ctx context.Context, f *flow, counts *Counts) (Part, error) {
	ends, err := c.ends(ctx, f, counts)
	if err != nil {
		return Part{}, err
	}
	return c.look(ctx, f, counts, fmt.Sprintf("%d messages from anywhere", pageMessages), func(p *probe, i int, latency *latencies) error {
		st := f.all[i%len(f.all)]
		found, took, err := p.history(ctx, st, 1+rand.Uint64N(ends[i%len(ends)]), pageMessages)
		if err != nil {
			return err
		}
		latency.add(micros(took))
		first := uint32(0)
		if len(found.numbers) > 0 {
			first = found.numbers[0]
		}
		p.check(found.numbers, first, pageMessages)
		return nil
	})
}

// ends returns, for each stream, a place behind which there are as many messages as a look asks for.
func (c Stored) ends(ctx context.Context, f *flow, counts *Counts) (ends []uint64, err error) {
	p, err := f.openProbe(ctx)
	if err != nil {
		return nil, err
	}
	defer p.close(counts)
	for _, st := range f.all {
		newest, _, err := p.history(ctx, st, 0, pageMessages)
		if err != nil {
			return nil, err
		}
		p.check(newest.numbers, st.ledger.sent.Load()-pageMessages, pageMessages)
		ends = append(ends, max(newest.first, 2)-1)
	}
	return ends, nil
}

func (c Stored) look(ctx context.Context, f *flow, counts *Counts, name string, one func(*probe, int, *latencies) error) (Part, error) {
	p, err := f.openProbe(ctx)
	if err != nil {
		return Part{}, err
	}
	defer p.close(counts)
	var latency latencies
	return f.session.part(ctx, name, "look", c.Looks, &latency, func() error {
		for i := range c.Looks {
			if err := one(p, i, &latency); err != nil {
				return err
			}
		}
		return nil
	})
}

// fromStore resumes channels that nobody was subscribed to when the messages came.
func (c Stored) fromStore(ctx context.Context, f *flow, counts *Counts) (Part, error) {
	return f.resumeEach(ctx, fmt.Sprintf("resuming, %d missed, from the store", resumeBy), f.some(resumed), resumeBy, c.Looks, counts)
}

// fromMemory does the same where somebody was subscribed.
func (c Stored) fromMemory(ctx context.Context, f *flow, counts *Counts) (Part, error) {
	some := f.some(resumed)
	holder := &bundle{flow: f, takers: map[uint32]*subscriber{}}
	for _, st := range some {
		holder.takers[st.index] = &subscriber{stream: st, tally: tally{next: st.ledger.sent.Load()}}
	}
	var err error
	if holder.token, err = f.session.tenants[0].token("holder"); err != nil {
		return Part{}, err
	}
	if err := holder.connect(ctx); err != nil {
		return Part{}, err
	}
	defer f.end(holder.link)
	if err := holder.subscribe(ctx); err != nil {
		return Part{}, err
	}
	if err := f.tell(ctx, some, resumeBy); err != nil {
		return Part{}, err
	}
	expected := uint64(len(some) * resumeBy)
	before := f.delivered.Load()
	if err := f.drain(ctx, func() bool { return f.acked.Load() == f.sent.Load() && f.delivered.Load()-before >= expected }); err != nil {
		return Part{}, err
	}
	counts.Expected += expected
	counts.Delivered += f.delivered.Load() - before
	counts.Missing += expected - min(expected, f.delivered.Load()-before)
	return f.resumeEach(ctx, fmt.Sprintf("resuming, %d missed, from memory", resumeBy), some, resumeBy, c.Looks, counts)
}
