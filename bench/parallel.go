package bench

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// inParallel calls do with 0 to n-1, a number of them at a time, until one fails or ctx ends.
func inParallel(ctx context.Context, n, atOnce int, do func(context.Context, int) error) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := 0; i < n && inner.Err() == nil; i++ {
		group.Go(func() error { return do(inner, i) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
