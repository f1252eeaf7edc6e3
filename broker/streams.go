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

// streamConfig is how a stream is made here and now; see copying.
func (c *Conn) streamConfig(s Stream) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:        string(s),
		Storage:     jetstream.FileStorage,
		MaxAge:      c.engine.ages.or(c.id, c.engine.cfg.Retention),
		AllowDirect: true,
		AllowMsgTTL: true,
		RePublish:   c.copies(s),
	}
	switch s {
	case Channels:
		cfg.Subjects = []string{rootChannel + ">", rootRetry + rootChannel + ">"}
	case Inboxes:
		cfg.Subjects = []string{rootAgent + ">", rootRetry + rootAgent + ">"}
	case DeadLetters:
		cfg.Subjects, cfg.AllowMsgTTL = []string{deadLetterNotices}, false
		return cfg
	case Sessions:
		cfg.Subjects, cfg.MaxAge = []string{string(SessionLog("*"))}, c.engine.ages.or(c.id, c.engine.cfg.SessionRetention)
	case Work:
		cfg.Subjects, cfg.Retention, cfg.MaxAge, cfg.AllowDirect = []string{rootWork + ">"}, jetstream.WorkQueuePolicy, workMaxAge, false
	}
	if cfg.Duplicates = c.engine.cfg.Dedupe; cfg.MaxAge > 0 {
		cfg.Duplicates = min(cfg.Duplicates, cfg.MaxAge)
	}
	return cfg
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
	if err := c.makeStream(ctx, s); err != nil {
		return fault.Wrap(fault.Unavailable, fmt.Errorf("create stream %s: %w", s, err), "The tenant's store can't be reached now.")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams[string(s)] = true
	return nil
}

// makeStream makes a stream. One that exists with another configuration was made by an administrator or another version: it
// is good as it is, but for its copies.
func (c *Conn) makeStream(ctx context.Context, s Stream) error {
	c.copying.mu.RLock()
	defer c.copying.mu.RUnlock()
	cfg := c.streamConfig(s)
	err := c.engine.persist(ctx, func(ctx context.Context) error {
		cfg.Replicas = c.engine.replicas()
		_, err := c.js.CreateStream(ctx, cfg)
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		if err = nil; s == Channels || s == Inboxes || s == Sessions {
			err = c.amend(ctx, s, cfg.RePublish)
		}
	}
	if made := c.copying.made(s); made != nil && err == nil && cfg.RePublish != nil {
		made.Store(true)
	}
	return err
}

// Heard reports whether anybody in the account listens to a subject. Only a broker of one node knows; others say yes.
func (c *Conn) Heard(s Subject) bool {
	if c.engine.Clustered() {
		return true
	}
	account, err := c.engine.server.LookupAccount(c.key)
	return err != nil || account.SubscriptionInterest(string(s))
}
