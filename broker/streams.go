package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	Sessions    Stream = "SESSIONS"    // the logs of conversations
	Work        Stream = "WORK"        // what waits for an AI worker to take it
)

// deadLetterNotices is where the server says that it gives a message up. A stream keeps them, so that nobody has to be
// listening when it happens.
const deadLetterNotices = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"

func (c *Conn) streamConfig(s Stream) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:        string(s),
		Storage:     jetstream.FileStorage,
		MaxAge:      c.engine.ages.or(c.id, c.engine.cfg.Retention),
		AllowDirect: true,
		AllowMsgTTL: true,
	}
	switch s {
	case Channels:
		cfg.Subjects, cfg.RePublish = []string{rootChannel + ">", rootRetry + rootChannel + ">"}, republish(rootChannel+">")
	case Inboxes:
		cfg.Subjects, cfg.RePublish = []string{rootAgent + ">", rootRetry + rootAgent + ">"}, republish(rootAgent+">")
	case DeadLetters:
		cfg.Subjects, cfg.AllowMsgTTL = []string{deadLetterNotices}, false
		return cfg
	case Sessions:
		cfg.Subjects, cfg.RePublish, cfg.MaxAge = []string{string(SessionLog("*"))}, c.sessionCopies(), c.engine.ages.or(c.id, c.engine.cfg.SessionRetention)
	case Work:
		cfg.Subjects, cfg.Retention, cfg.MaxAge, cfg.AllowDirect = []string{rootWork + ">"}, jetstream.WorkQueuePolicy, workMaxAge, false
	}
	if cfg.Duplicates = c.engine.cfg.Dedupe; cfg.MaxAge > 0 {
		cfg.Duplicates = min(cfg.Duplicates, cfg.MaxAge)
	}
	return cfg
}

// republish has a copy made of what is published on the subjects, after it is stored. It carries the message's sequence
// and the one before it on the same subject, so that whoever listens sees what is missing.
func republish(subjects string) *jetstream.RePublish {
	return &jetstream.RePublish{Source: subjects, Destination: rootLive + subjects}
}

// sessionCopies is who makes the live copies of sessions' events: the stream, except on a broker of one node, which alone
// writes events, tells its own followers itself, and makes a copy only when a service hears it.
func (c *Conn) sessionCopies() *jetstream.RePublish {
	if !c.engine.Clustered() {
		return nil
	}
	return republish(">")
}

// workMaxAge bounds how long a request may wait for a worker; most say themselves how long they do.
const workMaxAge = time.Hour

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
	if s == Sessions && errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		err = c.amend(ctx, s, c.sessionCopies())
	}
	// One that exists with another configuration was made by an administrator or another version: it is good as it is.
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fault.Wrap(fault.Unavailable, fmt.Errorf("create stream %s: %w", s, err), "The tenant's store can't be reached now.")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams[string(s)] = true
	return nil
}

// amend has live copies made of a stream, or not, when it was made by more nodes than there are, or by fewer.
func (c *Conn) amend(ctx context.Context, s Stream, copies *jetstream.RePublish) error {
	return c.engine.persist(ctx, func(ctx context.Context) error {
		stream, err := c.js.Stream(ctx, string(s))
		if err != nil {
			return err
		}
		cfg := stream.CachedInfo().Config
		if (cfg.RePublish == nil) == (copies == nil) {
			return nil
		}
		cfg.RePublish = copies
		_, err = c.js.UpdateStream(ctx, cfg)
		return err
	})
}

// Heard reports whether anybody in the account listens to a subject. Only a broker of one node knows; others say yes.
func (c *Conn) Heard(s Subject) bool {
	if c.engine.Clustered() {
		return true
	}
	account, err := c.engine.server.LookupAccount(c.key)
	return err != nil || account.SubscriptionInterest(string(s))
}
