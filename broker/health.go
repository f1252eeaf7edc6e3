package broker

import (
	"context"
	"errors"
	"syscall"
	"time"

	"parley/internal/fault"
	"parley/internal/tick"
)

// watchEvery is how often the disk is looked at. A disk fills by MinFree in that time only at over 60 MB/s.
const watchEvery = time.Second

// Check returns nil while messages can be stored, else why not: fault.StorageFull, which passes when there is room again,
// or fault.Unavailable, which needs a restart; with external servers it passes when they can be reached again. It costs an
// atomic load.
func (e *Engine) Check() error {
	if err := e.state.Load(); err != nil {
		return *err
	}
	return nil
}

// broken returns what Check does, but nil for what passes.
func (e *Engine) broken() error {
	if err := e.Check(); fault.CodeOf(err) != fault.StorageFull {
		return err
	}
	return nil
}

// fail records a failure that only a restart mends.
func (e *Engine) fail(err error) {
	var final error = fault.Wrap(fault.Unavailable, err, "The store has failed; nothing can be stored until the broker is restarted.")
	e.state.Store(&final)
	select {
	case e.failed <- err:
	default: // the first failure is the one that counts
	}
}

// watchStore refuses writes before the disk is full: after a failed write a stream takes no more until a restart.
func (e *Engine) watchStore(ctx context.Context) {
	e.checkSpace()
	for range tick.Every(ctx, watchEvery) {
		e.checkSpace()
	}
}

func (e *Engine) checkSpace() {
	before := e.state.Load()
	if e.broken() != nil {
		return
	}
	var now *error
	free, err := freeBytes(e.dir.path)
	limit := e.minFree.Load()
	switch {
	case err != nil:
		e.fail(errors.Join(errors.New("look at the free space"), err))
		return
	case free < limit:
		var full error = fault.New(fault.StorageFull, "The message was not stored: the disk is full.")
		now = &full
	}
	if e.state.CompareAndSwap(before, now) && (before == nil) != (now == nil) {
		e.log.Warn("free space crossed the limit", "free_bytes", free, "min_free_bytes", limit, "storing", now == nil)
	}
}

func freeBytes(path string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}
