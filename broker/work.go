package broker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// acceptWithin is how long a worker may hold a request without having accepted it; then another one gets it.
const acceptWithin = 5 * time.Second

// EnsureQueue makes the queue from which workers pull requests, when it does not exist yet. After the first time on a
// connection it costs a map access.
func (c *Conn) EnsureQueue(ctx context.Context, queue Token) error {
	if err := c.Ensure(ctx, Work); err != nil {
		return err
	}
	key := string(Work) + "/" + string(queue) // no stream has a slash
	c.mu.Lock()
	done := c.streams[key]
	c.mu.Unlock()
	if done {
		return nil
	}
	err := c.engine.persist(ctx, func(ctx context.Context) error {
		_, err := c.js.CreateConsumer(ctx, string(Work), jetstream.ConsumerConfig{
			Durable:       string(queue),
			FilterSubject: string(WorkSubject(queue)),
			AckPolicy:     jetstream.AckExplicitPolicy,
			AckWait:       acceptWithin,
			MaxAckPending: -1,
		})
		return err
	})
	if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
		return fault.Wrap(fault.Unavailable, err, "The queue %q can't be reached now.", queue)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams[key] = true
	return nil
}

// Erase removes all that a stream holds on a subject.
func (c *Conn) Erase(ctx context.Context, s Stream, subject Subject) error {
	stream, err := c.js.Stream(ctx, string(s))
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(string(subject)))
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The store can't be reached now.")
	}
	return nil
}
