package bench

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/fault"
)

// flow is messages in streams from publishers to subscribers, at a rate or as fast as a window allows.
type flow struct {
	streams        int
	subscribers    int     // of each stream
	spread         int     // further subscribers, which are spread over the streams
	publishers     int     // connections that share the streams. Zero means one a stream.
	size           int     // of the content, in bytes
	rate           float64 // messages a second in all streams together. Zero means as fast as the window allows.
	window         int     // messages of a stream that are not delivered to all subscribers or, without any, not acknowledged
	burst          int     // messages that are sent at once at least, when the window has room
	unacknowledged int     // messages of a stream at most, when deliveries do not bound them. Zero means ledgerSize.
	half           bool    // find out what the window allows, then go on at half that rate
	dialing        int     // publishers that connect at a time. Zero means the package's own number.

	session *Session
	all     []*stream
	senders []*publisher
	takers  []*subscriber
	bundles []*bundle // connections of the takers that have none of their own

	paced     atomic.Bool // rate says how fast it is, not the window
	latency   latencies
	sent      atomic.Uint64
	acked     atomic.Uint64
	delivered atomic.Uint64 // different messages
	foreign   atomic.Uint64
	resent    atomic.Uint64
	trouble   trouble
}

// stream is one channel with one source of numbered messages.
type stream struct {
	flow     *flow
	index    uint32
	channel  string
	template template
	ledger   *ledger
	sender   *publisher

	complete atomic.Uint32  // messages that all subscribers have
	copies   []atomic.Int32 // of each message in the window, how many subscribers have it; by number modulo the length
}

// build makes the streams and who takes part in them.
func (f *flow) build(s *Session) error {
	f.session = s
	f.paced.Store(f.rate > 0)
	if f.publishers <= 0 || f.publishers > f.streams {
		f.publishers = f.streams
	}
	acks := cmp.Or(f.unacknowledged, ledgerSize)
	if f.subscribers == 0 && f.spread == 0 && f.rate == 0 {
		acks = f.window
	}
	for i := range f.publishers {
		token, err := s.tenants[i%len(s.tenants)].token(fmt.Sprintf("pub-%d", i))
		if err != nil {
			return err
		}
		f.senders = append(f.senders, &publisher{flow: f, token: token, wake: make(chan struct{}, 1)})
	}
	for i := range f.streams {
		st := &stream{flow: f, index: uint32(i), channel: fmt.Sprintf("load.c%d", i), ledger: newLedger(acks), sender: f.senders[i%f.publishers]}
		st.template = newTemplate(st.index, st.channel, f.size)
		st.copies = make([]atomic.Int32, f.window+1)
		st.sender.streams = append(st.sender.streams, st)
		f.all = append(f.all, st)
	}
	for i := range f.streams*f.subscribers + f.spread {
		token, err := s.tenants[i%len(s.tenants)].token(fmt.Sprintf("sub-%d", i))
		if err != nil {
			return err
		}
		f.takers = append(f.takers, &subscriber{token: token, stream: f.all[i%f.streams]})
	}
	return nil
}

// connectSenders opens the publishers' connections.
func (f *flow) connectSenders(ctx context.Context) error {
	said := f.session.counting("connecting publishers", len(f.senders))
	return inParallel(ctx, len(f.senders), cmp.Or(f.dialing, dialing), func(ctx context.Context, i int) error {
		defer said()
		p := f.senders[i]
		var err error
		p.link, err = f.session.open(ctx, p, p.token, "")
		if err != nil {
			return err
		}
		return p.link.greet(ctx)
	})
}

// connectTakers opens the subscribers' connections and notes how long each took.
func (f *flow) connectTakers(ctx context.Context) error {
	said := f.session.counting("connecting subscribers", len(f.takers))
	return inParallel(ctx, len(f.takers), dialing, func(ctx context.Context, i int) error {
		defer said()
		t := f.takers[i]
		began := time.Now()
		var err error
		t.link, err = f.session.open(ctx, t, t.token, "&channel_id="+t.stream.channel)
		f.latency.add(micros(time.Since(began)))
		return err
	})
}

// greetTakers makes sure that the subscribers' connections are in place.
func (f *flow) greetTakers(ctx context.Context) error {
	return inParallel(ctx, len(f.takers), dialing, func(ctx context.Context, i int) error { return f.takers[i].link.greet(ctx) })
}

// dialing is how many connections are set up at a time.
const dialing = 64

// measure runs the flow and fills in what happened between the warm-up and the end.
func (f *flow) measure(ctx context.Context, r *Result) error {
	if f.half {
		if err := f.findHalf(ctx); err != nil {
			return err
		}
	}
	var from, to reading
	var units uint64
	err := f.sending(ctx, func() (err error) {
		from, to, units, err = f.watch(ctx)
		return err
	})
	if err != nil {
		return err
	}
	r.fill(from, to, units)
	r.Latency = f.latency.summary()
	return f.drain(ctx, f.arrived)
}

// sending has messages sent while do runs.
func (f *flow) sending(ctx context.Context, do func() error) error {
	sending, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer func() {
		stop()
		running.Wait()
	}()
	if f.paced.Load() {
		running.Go(func() { f.pace(sending) })
		return do()
	}
	for _, p := range f.senders {
		running.Go(func() { p.pump(sending) })
	}
	return do()
}

// findHalf measures the full rate, and sets the flow's rate to half of it. The first half of the time does not count: a
// broker and a generator that have just connected are slower.
func (f *flow) findHalf(ctx context.Context) error {
	rate := 0.0
	err := f.sending(ctx, func() error {
		if err := f.sit(ctx, "full rate, to find half of it", f.session.Warmup/2); err != nil {
			return err
		}
		before, began := f.units(), time.Now()
		for {
			if err := f.sit(ctx, "full rate, to find half of it", f.session.Warmup/2); err != nil {
				return err
			}
			if f.units() > before || time.Since(began) > stallAfter { // a busy machine may take longer than a short warm-up
				break
			}
		}
		rate = float64(f.units()-before) / time.Since(began).Seconds() / float64(f.subscribers) / 2
		return nil
	})
	if err != nil {
		return err
	}
	if rate == 0 {
		return fault.New(fault.Unavailable, "Nothing was delivered at full rate, so that there is no half of it.")
	}
	if err := f.drain(ctx, f.arrived); err != nil {
		return err
	}
	f.rate = rate
	f.paced.Store(true)
	return nil
}

// watch waits until the time that counts is over.
func (f *flow) watch(ctx context.Context) (from, to reading, units uint64, err error) {
	if err := f.sit(ctx, "warming up", f.session.Warmup); err != nil {
		return from, to, 0, err
	}
	if from, err = f.session.read(ctx); err != nil {
		return from, to, 0, err
	}
	before := f.units()
	f.latency.reset()
	if err := f.sit(ctx, "measuring", f.session.Duration); err != nil {
		return from, to, 0, err
	}
	units = f.units() - before
	to, err = f.session.read(ctx)
	return from, to, units, err
}

// units is what this flow counts: deliveries or, without subscribers, acknowledgements.
func (f *flow) units() uint64 {
	if f.subscribers > 0 {
		return f.delivered.Load()
	}
	return f.acked.Load()
}

// sit waits, and says every second what happens meanwhile.
func (f *flow) sit(ctx context.Context, what string, d time.Duration) error {
	last := f.units()
	for end := time.Now().Add(d); ; {
		step := min(time.Second, time.Until(end))
		if step <= 0 {
			return nil
		}
		began := time.Now()
		if !pause(ctx, step) {
			return ctx.Err()
		}
		now := f.units()
		f.session.Progress(fmt.Sprintf("%s: %s/s, %s sent, %s acknowledged, %s delivered", what,
			thousands(uint64(float64(now-last)/time.Since(began).Seconds())), thousands(f.sent.Load()), thousands(f.acked.Load()), thousands(f.delivered.Load())))
		last = now
	}
}

// stallAfter is how long nothing may arrive before what is missing counts as missing.
const stallAfter = 10 * time.Second

// drain waits until all is there or nothing more comes.
func (f *flow) drain(ctx context.Context, all func() bool) error {
	arrived, since, told := uint64(0), time.Now(), time.Now()
	for !all() {
		if now := f.acked.Load() + f.delivered.Load(); now != arrived {
			arrived, since = now, time.Now()
		}
		if time.Since(since) > stallAfter {
			return nil
		}
		if time.Since(told) > time.Second {
			f.session.Progress("waiting for what is on its way")
			told = time.Now()
			_ = f.resend() // the end of a connection is noted when it is closed
		}
		if !pause(ctx, 2*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// arrived reports whether everything that was sent was acknowledged, and delivered to all subscribers.
func (f *flow) arrived() bool {
	expected := f.sent.Load()
	for _, t := range f.takers {
		expected += uint64(t.stream.ledger.sent.Load())
	}
	return f.acked.Load()+f.delivered.Load() == expected
}

// close ends all connections. Only then may the counts be read.
func (f *flow) close() {
	for _, t := range f.takers {
		f.end(t.link)
	}
	for _, b := range f.bundles {
		f.end(b.link)
	}
	for _, p := range f.senders {
		f.end(p.link)
	}
}

// end closes a connection, which may be none.
func (f *flow) end(l *link) {
	if l == nil {
		return
	}
	l.close()
	if l.err != nil {
		f.trouble.lost(l.err)
	}
}

// counts sums up what became of all messages.
func (f *flow) counts() Counts {
	c := Counts{Foreign: f.foreign.Load(), Retried: f.session.retried.Load(), Resent: f.resent.Load()}
	f.trouble.fill(&c)
	for _, s := range f.all {
		c.Sent += uint64(s.ledger.sent.Load())
		c.Acknowledged += s.ledger.acknowledged.Load()
		c.AckedTwice += s.ledger.duplicated
		c.Foreign += s.ledger.foreign
	}
	for _, t := range f.takers {
		sent := t.stream.ledger.sent.Load()
		c.Expected += uint64(sent)
		c.Delivered += t.tally.delivered
		c.Duplicated += t.tally.duplicated
		c.Reordered += t.tally.reordered
		c.Missing += t.tally.missing(sent)
	}
	return c
}

// run is the whole life of a flow.
func (f *flow) run(ctx context.Context, s *Session, r *Result) (_ *Result, err error) {
	s.Progress("connecting")
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
	if err := f.connectTakers(ctx); err != nil {
		return nil, err
	}
	if err := f.greetTakers(ctx); err != nil {
		return nil, err
	}
	return r, f.measure(ctx, r)
}
