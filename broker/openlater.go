package broker

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
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
	if _, err := e.opener.held(); err != nil { // so that nobody who asks has to wait for the counting
		e.log.Warn("what is stored in accounts that are not open can't be counted", "err", err)
	}
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

// unopened is what is known of an account that is not open yet. Its files stay as they are until then.
type unopened struct {
	name    string
	bytes   uint64 // in the files that hold messages
	counted bool   // whether bytes is known
}

// name notes how an account is called, for held.
func (o *opener) name(key, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if u := o.later[key]; u != nil {
		u.name = name
	}
}

// held returns how many bytes are in the store of the accounts that are not open yet, by their names. It counts the files of
// messages, which may hold some that are deleted, and remembers what it has counted.
func (o *opener) held() (map[string]uint64, error) {
	held := map[string]uint64{}
	for _, key := range o.waiting() {
		o.mu.Lock()
		u := o.later[key]
		if u == nil { // it is open by now
			o.mu.Unlock()
			continue
		}
		account := *u
		o.mu.Unlock()
		if !account.counted {
			n, err := blockBytes(filepath.Join(o.store, key, "streams"))
			if err != nil {
				return nil, err
			}
			account.bytes = n
			o.mu.Lock()
			u.bytes, u.counted = n, true
			o.mu.Unlock()
		}
		held[account.name] += account.bytes
	}
	return held, nil
}

// blockBytes adds up the sizes of the files that hold the messages of the streams below dir. What is missing is empty: an
// account that is opened cleans up.
func blockBytes(dir string) (sum uint64, err error) {
	streams, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	for _, s := range streams {
		files, err := os.ReadDir(filepath.Join(dir, s.Name(), "msgs"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		for _, f := range files {
			if !strings.HasSuffix(f.Name(), ".blk") {
				continue
			}
			if info, err := f.Info(); err == nil {
				sum += uint64(info.Size())
			} else if !errors.Is(err, fs.ErrNotExist) {
				return 0, err
			}
		}
	}
	return sum, nil
}
