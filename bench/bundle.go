package bench

import (
	"context"
	"fmt"
	"sync/atomic"

	"parley/internal/fault"
)

// bundle is a connection that receives several streams.
type bundle struct {
	flow    *flow
	token   string
	link    *link
	takers  map[uint32]*subscriber // by the stream's index
	touched []*subscriber          // those that got something in what is being handled

	left atomic.Int64 // subscriptions that were not confirmed yet
	done chan struct{}
}

// subscriptions is how many of them the broker allows a connection.
const subscriptions = 1000

// connect opens the connection and subscribes to all streams of the bundle.
func (b *bundle) connect(ctx context.Context) (err error) {
	if b.link, err = b.flow.session.open(ctx, b, b.token, ""); err != nil {
		return err
	}
	return b.link.greet(ctx)
}

func (b *bundle) subscribe(ctx context.Context) error {
	var frames []byte
	for i, t := range b.takers {
		frames = appendFrame(frames, textFrame, fmt.Sprintf(`{"id":"%06x-00000000","type":"subscribe","channel_id":"%s"}`, i, t.stream.channel))
	}
	b.done = make(chan struct{})
	b.left.Store(int64(len(b.takers)))
	if _, err := b.link.conn.Write(frames); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The broker closed a subscriber's connection.")
	}
	select {
	case <-b.done:
		return nil
	case <-b.link.done:
		return fault.Wrap(fault.Unavailable, b.link.err, "The broker closed a subscriber's connection: %v.", b.link.err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// message implements receiver.
func (b *bundle) message(m marker, payload []byte) {
	t := b.takers[m.stream]
	if t == nil {
		b.flow.foreign.Add(1)
		return
	}
	before := t.fresh
	if t.message(m, payload); before == 0 && t.fresh > 0 {
		b.touched = append(b.touched, t)
	}
}

// acknowledged implements receiver: what a bundle sends is subscriptions.
func (b *bundle) acknowledged(uint32, uint32) {
	switch left := b.left.Add(-1); {
	case left == 0:
		close(b.done)
	case left < 0:
		b.flow.foreign.Add(1)
	}
}

// other implements receiver.
func (b *bundle) other(payload []byte) { b.flow.trouble.refuse(payload) }

// settle implements receiver.
func (b *bundle) settle() {
	for _, t := range b.touched {
		t.settle()
	}
	b.touched = b.touched[:0]
}

var _ receiver = (*bundle)(nil)

// bundleUp has a number of connections share the subscribers of the flow; no two of a stream are on the same one.
func (f *flow) bundleUp(connections int) error {
	for i := range connections {
		token, err := f.session.tenants[0].token(fmt.Sprintf("sub-%d", i))
		if err != nil {
			return err
		}
		f.bundles = append(f.bundles, &bundle{flow: f, token: token, takers: map[uint32]*subscriber{}})
	}
	for i, t := range f.takers {
		f.bundles[(int(t.stream.index)+i/f.streams)%connections].takers[t.stream.index] = t
	}
	return nil
}

// eachBundle calls do for all of them, several at a time.
func (f *flow) eachBundle(ctx context.Context, do func(*bundle, context.Context) error) error {
	return inParallel(ctx, len(f.bundles), dialing, func(ctx context.Context, i int) error { return do(f.bundles[i], ctx) })
}
