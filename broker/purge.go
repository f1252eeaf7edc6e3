package broker

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// Purge removes messages of one subject from a stream for good: those below a sequence, or all but the newest keep when
// below is 0. It returns when they are gone. Of both 0 it removes all.
func (c *Conn) Purge(ctx context.Context, s Stream, subject Subject, below, keep uint64) error {
	options := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSubject(string(subject))}
	switch {
	case below > 0:
		options = append(options, jetstream.WithPurgeSequence(below))
	case keep > 0:
		options = append(options, jetstream.WithPurgeKeep(keep))
	}
	stream, err := c.stream(ctx, s)
	if err == nil && stream == nil {
		return nil
	}
	if err == nil {
		err = c.Insist(ctx, func(ctx context.Context) error { return stream.Purge(ctx, options...) })
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, fmt.Errorf("purge %s of %s: %w", subject, s, err), "The messages can't be removed now.")
	}
	return nil
}
