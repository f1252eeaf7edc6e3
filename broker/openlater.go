package broker

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// resting is how many times as long as opening an account took the opener rests after it, while the broker serves. A fifth
// of one core is then what it takes, and some minutes for thousands of accounts.
const resting = 4

// openFor opens accounts that the server has left for later until all are open or the time is over.
func (o *opener) openFor(ctx context.Context, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	keys := o.waiting()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(keys) {
					return
				}
				_ = o.open(keys[i]) // what fails is tried again by openRest
			}
		})
	}
	workers.Wait()
}

// openRest opens all accounts that the server has left for later, so that what is too old is dropped from those as well that
// nobody uses. It returns when all are open or ctx ends.
func (e *Engine) openRest(ctx context.Context) {
	began := time.Now()
	keys := e.opener.waiting()
	for _, key := range keys {
		start := time.Now()
		if err := e.opener.open(key); err != nil && ctx.Err() == nil {
			e.log.Error("an account can't be opened", "account_key", key, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(resting * time.Since(start)):
		}
	}
	if len(keys) > 0 {
		e.log.Info("all accounts are open", "opened_after_start", len(keys), "took", time.Since(began).Round(time.Millisecond))
	}
}

// openAccount opens an account, unless it is open or the server does so by itself.
func (e *Engine) openAccount(a AccountID) error {
	if e.opener == nil {
		return nil
	}
	key, err := e.id.accountKey(a)
	if err != nil || e.opener.own[key] {
		return err
	}
	return e.opener.open(key)
}

// waiting returns the keys of the accounts that the server has left for later and that are not open yet.
func (o *opener) waiting() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Sorted(maps.Keys(o.later))
}

// name notes how an account is called, for held.
func (o *opener) name(key, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.later[key]; ok {
		o.later[key] = name
	}
}

// held returns how many bytes are in the store of the accounts that are not open yet, by their names. It counts the files of
// messages, which may hold some that are deleted.
func (o *opener) held(store string) (map[string]uint64, error) {
	o.mu.Lock()
	names := maps.Clone(o.later)
	o.mu.Unlock()
	held := make(map[string]uint64, len(names))
	for key, name := range names {
		n, err := blockBytes(filepath.Join(store, key, "streams"))
		if err != nil {
			return nil, err
		}
		held[name] += n
	}
	return held, nil
}

// blockBytes adds up the sizes of the files below dir that hold messages.
func blockBytes(dir string) (sum uint64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(path, ".blk") {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				sum += uint64(info.Size())
			}
		}
		if errors.Is(err, fs.ErrNotExist) { // it was opened meanwhile, and cleans up
			return nil
		}
		return err
	})
	return sum, err
}
