package broker

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// Rewatch begins a watch anew, which delivers all that there is once more, and has spawn end the one before. It does
// nothing while the bucket has no leader, since the next loss is told when it has one; the old watch recovers by itself
// anyway, only many seconds later. spawn runs a function on a goroutine that somebody waits for.
func Rewatch(ctx context.Context, kv jetstream.KeyValue, keys string, old jetstream.KeyWatcher, spawn func(func())) jetstream.KeyWatcher {
	attempt, cancel := context.WithTimeout(ctx, attemptWithin)
	_, err := kv.Status(attempt)
	cancel()
	if err != nil {
		return old
	}
	w, err := watch(ctx, kv, keys)
	if err != nil {
		return old
	}
	spawn(func() { EndWatch(old) })
	return w
}

// watching is a watch with a context of its own, which Stop ends: until then the client keeps a goroutine for it.
type watching struct {
	jetstream.KeyWatcher
	end context.CancelFunc
}

// Stop implements jetstream.KeyWatcher.
func (w *watching) Stop() error {
	defer w.end()
	return w.KeyWatcher.Stop()
}

// watch begins a watch that goes on when ctx ends, until Stop.
func watch(ctx context.Context, kv jetstream.KeyValue, keys string, opts ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	w, err := kv.Watch(life, keys, opts...)
	if err != nil {
		end()
		return nil, err
	}
	return &watching{w, end}, nil
}

// EndWatch stops a watch and reads what it still delivers, which would block it. It may take some seconds when the
// server can't be asked.
func EndWatch(w jetstream.KeyWatcher) {
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for range w.Updates() { // until it is closed
		}
	}()
	_ = w.Stop() // fails only when the connection is closed, which ends it as well
	<-drained
}
