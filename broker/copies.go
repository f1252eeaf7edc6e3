package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// Who makes the live copies of what an account's streams store: the streams, wherever somebody depends on them whom this
// process can't tell by itself. Those are other nodes, and services, which hear the copies or publish what only the stream
// sees. On a broker of one node nobody can be a service of messages who has no credentials for it, so that the streams of
// messages make copies from when the first ones are issued (docs/adr/0024).

// copying is what is known of the copies of one account. Whoever makes or changes a stream that copies may be made of holds
// mu and does as Conn.copies says meanwhile.
type copying struct {
	mu       sync.RWMutex // for reading; for writing while the streams are to begin
	wanted   atomic.Bool  // there are credentials that need copies, or were; never taken back
	channels atomic.Bool  // the stream makes copies, or will when it is made; never taken back
	inboxes  atomic.Bool  // as channels
}

// made is whether a stream of messages makes copies; nil for other streams.
func (c *copying) made(s Stream) *atomic.Bool {
	switch s {
	case Channels:
		return &c.channels
	case Inboxes:
		return &c.inboxes
	default:
		return nil
	}
}

// copyings are those of all accounts that this engine has to do with.
type copyings struct {
	mu sync.Mutex
	of map[AccountID]*copying // guarded by mu
}

func (all *copyings) account(a AccountID) *copying {
	all.mu.Lock()
	defer all.mu.Unlock()
	c := all.of[a]
	if c == nil {
		if all.of == nil {
			all.of = map[AccountID]*copying{}
		}
		c = new(copying)
		all.of[a] = c
	}
	return c
}

// forget drops what is known of an account that is no more.
func (all *copyings) forget(a AccountID) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.of, a)
}

// copies is who makes the live copies of a stream, as its configuration says it: nil for nobody, or this process.
func (c *Conn) copies(s Stream) *jetstream.RePublish {
	alone := !c.engine.Clustered()
	needed := !alone || c.copying.wanted.Load()
	switch {
	case s == Channels && needed:
		return republish(rootChannel + ">")
	case s == Inboxes && needed:
		return republish(rootAgent + ">")
	case s == Sessions && !alone: // alone, this node tells its own followers and makes a copy when a service hears it
		return republish(">")
	default:
		return nil
	}
}

// republish has a copy made of what is published on the subjects, after it is stored. It carries the message's sequence
// and the one before it on the same subject, so that whoever listens sees what is missing.
func republish(subjects string) *jetstream.RePublish {
	return &jetstream.RePublish{Source: subjects, Destination: rootLive + subjects}
}

// amend has live copies made of a stream, or not, when it was made under other circumstances.
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

// lacksCopies reports whether a stream makes no live copies although in a cluster it has to.
func lacksCopies(name string, copied bool) bool {
	s := Stream(name)
	return !copied && (s == Channels || s == Inboxes || s == Sessions)
}

// Copied reports whether the stream of channels, or that of inboxes, makes a live copy of all that is stored from now on.
// It may begin to do so, of which OnLoss tells; it does not stop. While it does not, no service can store anything.
func (c *Conn) Copied(s Stream) bool { return c.copying.made(s).Load() }

// makeCopies has the streams of messages make copies. When it returns nil they do, or will from their first message on. In a
// cluster they do anyhow: what was stored by one node alone is seen to by growStream, and by Ensure.
func (e *Engine) makeCopies(ctx context.Context, a AccountID) error {
	state := e.copyings.account(a)
	state.wanted.Store(true)
	if e.Clustered() || state.channels.Load() && state.inboxes.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c, err := e.Acquire(ctx, a)
	if err != nil {
		return err
	}
	defer c.Release()
	defer c.lost() // what services have stored until now went by unheard
	state.mu.Lock()
	defer state.mu.Unlock()
	for _, s := range [...]Stream{Channels, Inboxes} {
		if err := c.amend(ctx, s, c.copies(s)); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fault.Wrap(fault.Unavailable, fmt.Errorf("have stream %s make copies: %w", s, err), "The tenant's store can't be reached now.").WithFix("Repeat the command.")
		}
		state.made(s).Store(true)
	}
	return nil
}

// NeedCopies reports whether whoever may publish or subscribe to these subjects depends on live copies of messages: it hears
// the copies, or it publishes messages or can answer to those of others, which only a stream sees.
func NeedCopies(subjects ...string) bool {
	for _, s := range subjects {
		s := strings.TrimPrefix(s, rootLive)
		if strings.HasPrefix(s, rootChannel) || strings.HasPrefix(s, rootAgent) || strings.HasPrefix(s, "*") || strings.HasPrefix(s, ">") {
			return true
		}
	}
	return false
}
