package bench

import (
	"context"
	"fmt"
	"time"

	"parley/internal/fault"
)

// tell publishes a number of messages to each of the streams, as fast as they are acknowledged.
func (f *flow) tell(ctx context.Context, streams []*stream, messages int) error {
	told := time.Now()
	flush := func(p *publisher) error {
		if time.Since(told) > time.Second {
			told = time.Now()
			f.session.Progress(fmt.Sprintf("publishing: %s sent, %s acknowledged", thousands(f.sent.Load()), thousands(f.acked.Load())))
		}
		if err := p.flush(); err != nil {
			return fault.Wrap(fault.Unavailable, err, "The broker closed the publisher's connection.")
		}
		return ctx.Err()
	}
	for range messages {
		for _, s := range streams {
			if err := f.awaitRoom(ctx, s, flush); err != nil {
				return err
			}
			s.sender.add(s, time.Now())
			if len(s.sender.batch) > bufferBytes/4 {
				if err := flush(s.sender); err != nil {
					return err
				}
			}
		}
	}
	for _, p := range f.senders {
		if err := flush(p); err != nil {
			return err
		}
	}
	return nil
}

// awaitRoom waits until a message more of a stream may be sent, as long as acknowledgements come.
func (f *flow) awaitRoom(ctx context.Context, s *stream, flush func(*publisher) error) error {
	resent := time.Now()
	for acked, since := f.acked.Load(), time.Now(); s.ledger.room() == 0; pause(ctx, time.Millisecond) {
		if err := flush(s.sender); err != nil {
			return err
		}
		if time.Since(resent) > time.Second {
			resent = time.Now()
			if err := f.resend(); err != nil {
				return fault.Wrap(fault.Unavailable, err, "The broker closed the publisher's connection.")
			}
		}
		if now := f.acked.Load(); now != acked {
			acked, since = now, time.Now()
		}
		if time.Since(since) > stallAfter {
			var c Counts
			f.trouble.fill(&c)
			return fault.New(fault.Internal, "Of %s messages %s were acknowledged, %s refused, and nothing more comes%s",
				thousands(f.sent.Load()), thousands(f.acked.Load()), thousands(c.Refused), because(c.Reason))
		}
	}
	return nil
}
