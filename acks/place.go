package acks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
)

// Terms say how a place delivers. The zero values of the last three have defaults.
type Terms struct {
	Stream  broker.Stream
	Subject broker.Subject
	Name    string        // of the place, unique in its stream; letters, digits, '_', '-' and '='
	FromSeq uint64        // where a new place begins. Zero means FromTime, or what comes from now on.
	From    time.Time     // see FromSeq
	Forget  time.Duration // how long an unused place is kept. Zero means for ever.

	Wait          time.Duration // for an acknowledgement, before the message is delivered again. Defaults to 30s.
	MaxDeliveries int           // after so many the message is a dead letter. Defaults to 5.
}

// placeWindow bounds the messages of one place that are delivered and not acknowledged, on all nodes together.
const placeWindow = 1000

func (t Terms) consumerConfig() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Durable:           t.Name,
		FilterSubjects:    []string{string(t.Subject), string(t.Stream.RetrySubject(t.Name))},
		AckPolicy:         jetstream.AckExplicitPolicy,
		AckWait:           cmp.Or(t.Wait, 30*time.Second),
		MaxDeliver:        cmp.Or(t.MaxDeliveries, 5),
		MaxAckPending:     placeWindow,
		InactiveThreshold: t.Forget,
		DeliverPolicy:     jetstream.DeliverNewPolicy,
	}
	switch {
	case t.FromSeq > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, t.FromSeq
	case !t.From.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &t.From
	}
	return cfg
}

// openPlace returns the consumer that keeps the place. One that exists goes on where it is, under the new terms.
func openPlace(ctx context.Context, conn *broker.Conn, t Terms) (jetstream.Consumer, error) {
	if err := errors.Join(conn.Ensure(ctx, t.Stream), conn.Ensure(ctx, broker.DeadLetters)); err != nil {
		return nil, err
	}
	want := t.consumerConfig()
	var existing jetstream.Consumer
	err := conn.Insist(ctx, func(ctx context.Context) (err error) {
		existing, err = conn.JetStream().Consumer(ctx, string(t.Stream), t.Name)
		return err
	})
	if err == nil {
		have := existing.CachedInfo().Config
		want.DeliverPolicy, want.OptStartSeq, want.OptStartTime = have.DeliverPolicy, have.OptStartSeq, have.OptStartTime
		if have.AckWait == want.AckWait && have.MaxDeliver == want.MaxDeliver {
			return existing, nil
		}
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, placeFault(t, err)
	}
	c, err := conn.JetStream().CreateOrUpdateConsumer(ctx, string(t.Stream), want)
	if err != nil {
		return nil, placeFault(t, err)
	}
	return c, nil
}

func placeFault(t Terms, err error) error {
	return fault.Wrap(fault.Unavailable, fmt.Errorf("open the place %s: %w", t.Name, err), "The durable subscription can't be opened now.")
}
