package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// Stream names one of the streams of a tenant's account.
type Stream string

// The streams. Channels and inboxes have one each, so that a busy channel never pushes a waiting direct message out.
const (
	Channels    Stream = "CHANNELS"    // what is published on channel.>
	Inboxes     Stream = "INBOXES"     // what is published on agent.>
	DeadLetters Stream = "DEADLETTERS" // the server's notices of messages that were delivered too often
)

// deadLetterNotices is where the server says that it gives a message up. A stream keeps them, so that nobody has to be
// listening when it happens.
const deadLetterNotices = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"

// StateBucket holds what the nodes share about a tenant's agents: presence, status, inbox positions.
const StateBucket = "state"

// markerTTL is how long the trace of an expired or deleted key is kept for watchers.
const markerTTL = time.Minute

func (c *Conn) streamConfig(s Stream) jetstream.StreamConfig {
	if s == DeadLetters {
		return jetstream.StreamConfig{
			Name: string(s), Subjects: []string{deadLetterNotices}, Storage: jetstream.FileStorage, MaxAge: c.engine.cfg.Retention, AllowDirect: true,
		}
	}
	root := rootChannel
	if s == Inboxes {
		root = rootAgent
	}
	return jetstream.StreamConfig{
		Name:       string(s),
		Subjects:   []string{root + ">", rootRetry + root + ">"},
		Storage:    jetstream.FileStorage,
		MaxAge:     c.engine.cfg.Retention,
		Duplicates: min(c.engine.cfg.Dedupe, c.engine.cfg.Retention),
		// The republished copy is made after the message is stored and carries its sequence and the one before it on
		// the same subject, so that whoever listens sees what is missing.
		RePublish:   &jetstream.RePublish{Source: root + ">", Destination: rootLive + root + ">"},
		AllowDirect: true,
		AllowMsgTTL: true,
	}
}

// Ensure makes the stream s when it does not exist yet. After the first time on a connection it costs a map access.
func (c *Conn) Ensure(ctx context.Context, s Stream) error {
	c.mu.Lock()
	done := c.streams[string(s)]
	c.mu.Unlock()
	if done {
		return nil
	}
	err := c.engine.persist(ctx, func(ctx context.Context) error {
		cfg := c.streamConfig(s)
		cfg.Replicas = c.engine.replicas()
		_, err := c.js.CreateStream(ctx, cfg)
		return err
	})
	// One that exists with another configuration was made by an administrator or another version: it is good as it is.
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fault.Wrap(fault.Unavailable, fmt.Errorf("create stream %s: %w", s, err), "The tenant's store can't be reached now.")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams[string(s)] = true
	return nil
}

// State opens the tenant's StateBucket, making it when it does not exist. Keys may be given a TTL.
func (c *Conn) State(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := c.openBucket(ctx, jetstream.KeyValueConfig{
		Bucket: StateBucket, Storage: jetstream.FileStorage, History: 1, LimitMarkerTTL: markerTTL,
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The tenant's store can't be reached now.")
	}
	return kv, nil
}

// PutState writes a key of the StateBucket, nil to delete it, without waiting for the answer: what is written there
// describes the moment, and the next write mends a lost one. The bucket must have been opened with State.
func (c *Conn) PutState(key string, value []byte) error {
	msg := nats.NewMsg("$KV." + StateBucket + "." + key)
	msg.Data = value
	if value == nil {
		msg.Header.Set("KV-Operation", "PURGE")
		msg.Header.Set(nats.MsgRollup, nats.MsgRollupSubject)
	}
	return c.nc.PublishMsg(msg)
}
