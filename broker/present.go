package broker

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// Present calls f with each entry that stands under keys in a bucket now, in no order that means anything. Errors are those
// of the client and of ctx.
func Present(ctx context.Context, kv jetstream.KeyValue, keys string, f func(jetstream.KeyValueEntry)) error {
	w, err := watch(ctx, kv, keys, jetstream.IgnoreDeletes())
	if err != nil {
		return err
	}
	defer EndWatch(w)
	for {
		select {
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return errors.New("the watch has ended")
			case e == nil:
				return nil
			}
			f(e)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
