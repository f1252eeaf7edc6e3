package main

import (
	"context"
	"errors"
)

// stage is a part of the broker that runs until its context ends.
type stage struct {
	run  func(context.Context) error
	stop context.CancelFunc
	done chan error
}

// stages are the parts of the broker from the bottom up: each needs those that were started before it.
type stages []*stage

// start runs a part on top of the others. A part that ends before it is stopped calls ended.
func (s *stages) start(run func(context.Context) error, ended func(error)) {
	ctx, stop := context.WithCancel(context.Background())
	st := &stage{run, stop, make(chan error, 1)}
	*s = append(*s, st)
	go func() { // stop waits for it
		err := run(ctx)
		st.done <- err
		if ctx.Err() == nil {
			ended(err)
		}
	}()
}

// stop ends the parts from the top down, each one wholly before the one that it stands on.
func (s *stages) stop() error {
	var all []error
	for i := len(*s) - 1; i >= 0; i-- {
		(*s)[i].stop()
		all = append(all, <-(*s)[i].done)
	}
	*s = nil
	return errors.Join(all...)
}
