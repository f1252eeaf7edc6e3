package sessions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
)

const (
	// waitingKept is how long a place in the count lasts whose tenant was deleted.
	waitingKept = 100 * 24 * time.Hour
	// waitingMarked is how long the end of a wait is kept for nodes that watch.
	waitingMarked = time.Minute
	// followAgain is the pause before the count is followed again.
	followAgain = time.Second
)

// Handoffs are the sessions of one tenant that wait for a human.
type Handoffs struct {
	Waiting int
	Since   time.Time // when the first of them began to
}

// waiting counts who waits for a human, for all nodes and over restarts, also of tenants that nobody uses now. The truth is
// each tenant's own queue; this is a copy in the broker's own account, which names nobody. It is only counted: what fails
// here stops no one, and is mended when somebody looks at the queue.
type waiting struct {
	engine *broker.Engine
	log    *slog.Logger
	ready  chan struct{} // closed when bucket is set
	bucket jetstream.KeyValue

	mu    sync.Mutex
	since map[string]time.Time // by key; guarded by mu
}

func newWaiting(engine *broker.Engine, log *slog.Logger) *waiting {
	return &waiting{engine: engine, log: log, ready: make(chan struct{}), since: map[string]time.Time{}}
}

// waitingKey is a session's place in the bucket. The session's id is the tenant's own affair.
func waitingKey(account broker.AccountID, id broker.Token) string {
	sum := sha256.Sum256([]byte(id))
	return string(account) + "." + hex.EncodeToString(sum[:16])
}

// run follows the count until ctx ends.
func (w *waiting) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.follow(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("who waits for a human can't be counted now", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(followAgain):
		}
	}
}

// open makes the bucket. Only run's goroutine calls it.
func (w *waiting) open(ctx context.Context) (err error) {
	if w.bucket != nil {
		return nil
	}
	// A server that is closed while it makes a bucket leaves a part of it running: ctx's end must not get ahead of its answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openWithin)
	defer cancel()
	w.bucket, err = w.engine.Bucket(ctx, jetstream.KeyValueConfig{
		Bucket: "handoffs", Description: "Sessions that wait for a human, by account.", History: 1, Storage: jetstream.FileStorage,
		TTL: waitingKept, LimitMarkerTTL: waitingMarked,
	})
	if err != nil {
		return fmt.Errorf("open the count of hand-offs: %w", err)
	}
	close(w.ready)
	return nil
}

// follow reads the bucket and what changes in it, until something may have been missed.
func (w *waiting) follow(ctx context.Context) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	losses, stop := w.engine.Losses()
	defer stop()
	watch, err := w.bucket.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer broker.EndWatch(watch)
	since := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-losses:
			return nil
		case e, ok := <-watch.Updates():
			if !ok {
				return errors.New("the watch has ended")
			}
			w.mu.Lock()
			if e == nil { // that was all there is
				w.since = since
			} else if at, err := time.Parse(time.RFC3339Nano, string(e.Value())); err == nil && e.Operation() == jetstream.KeyValuePut {
				since[e.Key()] = at
			} else {
				delete(since, e.Key())
			}
			w.mu.Unlock()
		}
	}
}

// begin counts a session.
func (w *waiting) begin(ctx context.Context, key string, since time.Time) {
	w.do(ctx, func() error {
		_, err := w.bucket.PutString(ctx, key, since.UTC().Format(time.RFC3339Nano))
		return err
	})
}

// end counts it no longer.
func (w *waiting) end(ctx context.Context, key string) {
	w.do(ctx, func() error { return w.bucket.Purge(ctx, key, jetstream.PurgeTTL(waitingMarked)) })
}

func (w *waiting) do(ctx context.Context, f func() error) {
	var err error
	select {
	case <-w.ready:
		err = f()
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		w.log.Warn("a hand-off is not counted until somebody looks at the queue", "err", err)
	}
}

// mend makes the count of an account what its queue is, except for what is so new that it may not be in both.
func (w *waiting) mend(ctx context.Context, account broker.AccountID, queue map[string]time.Time) {
	old := time.Now().Add(-waitingMarked)
	counted := map[string]time.Time{}
	w.mu.Lock()
	for key, since := range w.since {
		if strings.HasPrefix(key, string(account)+".") {
			counted[key] = since
		}
	}
	w.mu.Unlock()
	for key, since := range counted {
		if _, waits := queue[key]; !waits && since.Before(old) {
			w.end(ctx, key)
		}
	}
	for key, since := range queue {
		if _, known := counted[key]; !known && since.Before(old) {
			w.begin(ctx, key, since)
		}
	}
}

// Handoffs returns who waits for a human, on all nodes, by account; none of an account that is not there. It does not ask
// anybody for it.
func (h *Hub) Handoffs() map[broker.AccountID]Handoffs {
	w := h.waiting
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[broker.AccountID]Handoffs{}
	for key, since := range w.since {
		account, _, _ := strings.Cut(key, ".")
		one := all[broker.AccountID(account)]
		if one.Waiting++; one.Since.IsZero() || since.Before(one.Since) {
			one.Since = since
		}
		all[broker.AccountID(account)] = one
	}
	return all
}
