package bench

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"parley/internal/fault"
)

// Reconnect is many connections that are cut at once, miss messages and come back for them.
type Reconnect struct {
	Connections int
	Channels    int // that the connections are spread over
	Missed      int // messages of each channel while nobody is connected
	Dialing     int // connections in setup at a time
}

// recovery is one such return.
type recovery struct {
	left atomic.Int64  // connections that have not got everything yet
	done chan struct{} // closed when all have
}

// one notes that a connection has got everything.
func (r *recovery) one() {
	if r.left.Add(-1) == 0 {
		close(r.done)
	}
}

// Run implements Scenario. The time that counts is from the first dial until everyone has everything; the latency is
// that of one connection.
func (c Reconnect) Run(ctx context.Context, s *Session) (_ *Result, err error) {
	if c.Connections < 1 || c.Channels < 1 || c.Missed < 1 || c.Dialing < 1 {
		return nil, fault.New(fault.Usage, "There has to be a connection, a channel, a missed message and a dial at a time.")
	}
	r := &Result{
		Scenario: "reconnect", Unit: "connection",
		Setting: fmt.Sprintf("%s in %s cut at once, %d messages missed by each", plural(uint64(c.Connections), "connection"),
			plural(uint64(c.Channels), "channel"), c.Missed),
	}
	f := &flow{streams: c.Channels, spread: c.Connections, publishers: 1, size: 128, rate: 1}
	if err := f.build(s); err != nil {
		return nil, err
	}
	defer func() {
		f.close()
		r.Counts = f.counts()
	}()
	back := &recovery{done: make(chan struct{})}
	back.left.Store(int64(c.Connections))
	if err := c.begin(ctx, f, back); err != nil {
		return nil, err
	}
	s.Progress("cutting all connections, and publishing what they miss")
	for _, t := range f.takers {
		t.link.cut()
	}
	if err := f.tell(ctx, f.all, c.Missed); err != nil {
		return nil, err
	}
	if err := f.drain(ctx, func() bool { return f.acked.Load() == f.sent.Load() }); err != nil {
		return nil, err
	}
	f.latency.reset()
	from, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	s.Progress("reconnecting")
	if err := c.back(ctx, f, back); err != nil {
		return nil, err
	}
	to, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	r.fill(from, to, uint64(c.Connections))
	r.Latency = f.latency.summary()
	return r, nil
}

// begin connects everyone and gives each a first message, behind which it can resume.
func (c Reconnect) begin(ctx context.Context, f *flow, back *recovery) error {
	f.session.Progress("connecting")
	if err := f.connectSenders(ctx); err != nil {
		return err
	}
	for _, t := range f.takers {
		t.catching = back
	}
	if err := f.connectTakers(ctx); err != nil {
		return err
	}
	if err := f.greetTakers(ctx); err != nil {
		return err
	}
	if err := f.tell(ctx, f.all, 1); err != nil {
		return err
	}
	return f.drain(ctx, f.arrived)
}

// back reconnects everyone and waits until all have what they missed. Those who get nothing more for long are given up:
// they show in the counts.
func (c Reconnect) back(ctx context.Context, f *flow, back *recovery) error {
	said := f.session.counting("reconnecting", len(f.takers))
	err := inParallel(ctx, len(f.takers), c.Dialing, func(ctx context.Context, i int) error {
		defer said()
		t := f.takers[i]
		t.began = max(1, f.session.micros())
		var err error
		t.link, err = f.session.open(ctx, t, t.token, "&channel_id="+t.stream.channel+"&since="+strconv.FormatUint(t.seq, 10))
		return err
	})
	if err != nil {
		return err
	}
	return f.drain(ctx, func() bool {
		select {
		case <-back.done:
			return true
		default:
			return false
		}
	})
}
