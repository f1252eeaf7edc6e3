package tenants

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
	"parley/internal/tick"
)

const (
	// useEvery is how often a node writes down which API keys were used: what it dies with is that much of it at most.
	useEvery = time.Minute
	// useKept is how long a use is remembered that no other one follows.
	useKept = 400 * 24 * time.Hour
)

// uses knows when API keys were used last. It is kept beside the tenants' records, which every node would have to read again
// for each use.
type uses struct {
	bucket jetstream.KeyValue // by account and key, from all nodes

	mu    sync.Mutex
	fresh map[string]time.Time // not written yet, by the bucket's key; guarded by mu
}

func openUses(ctx context.Context, e engine) (*uses, error) {
	bucket, err := e.Bucket(ctx, jetstream.KeyValueConfig{
		Bucket: "apikeyuses", Description: "When API keys were used last.", History: 1, TTL: useKept, Storage: jetstream.FileStorage,
	})
	if err != nil {
		return nil, fmt.Errorf("open the uses of API keys: %w", err)
	}
	return &uses{bucket: bucket, fresh: map[string]time.Time{}}, nil
}

func useKey(account broker.AccountID, key string) string { return string(account) + "." + key }

// note remembers that a key is used.
func (u *uses) note(account broker.AccountID, key string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.fresh[useKey(account, key)] = now
}

// write writes down what was used since the last time. What can't be written is written with the next, unless it was used
// again by then.
func (u *uses) write(ctx context.Context) error {
	u.mu.Lock()
	fresh := u.fresh
	u.fresh = map[string]time.Time{}
	u.mu.Unlock()
	for key, at := range fresh {
		if _, err := u.bucket.PutString(ctx, key, at.UTC().Format(time.RFC3339)); err != nil {
			u.restore(fresh)
			return err
		}
	}
	return nil
}

func (u *uses) restore(stale map[string]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key, at := range stale {
		if at.After(u.fresh[key]) {
			u.fresh[key] = at
		}
	}
}

// of returns when the keys of an account were used last, by their ids.
func (u *uses) of(ctx context.Context, account broker.AccountID) (map[string]time.Time, error) {
	last := map[string]time.Time{}
	err := broker.Present(ctx, u.bucket, useKey(account, "*"), func(e jetstream.KeyValueEntry) {
		if at, err := time.Parse(time.RFC3339, string(e.Value())); err == nil {
			last[strings.TrimPrefix(e.Key(), useKey(account, ""))] = at
		}
	})
	return last, err
}

// writeUses writes down what was used until ctx ends, and then once more.
func (r *Registry) writeUses(ctx context.Context) {
	for range tick.Every(ctx, useEvery) {
		if err := r.uses.write(ctx); err != nil && ctx.Err() == nil {
			r.log.Warn("The uses of API keys can't be written down now; it is tried again.", "error", err)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastEntries)
	defer cancel()
	if err := r.uses.write(last); err != nil {
		r.log.Warn("The last uses of API keys are lost.", "error", err)
	}
}

// APIKeys returns a tenant's API keys, oldest first, with the time of their last use. Uses on other nodes within the last
// minute may be missing.
func (r *Registry) APIKeys(ctx context.Context, id ID) ([]APIKey, error) {
	t, err := r.Get(id)
	if err != nil {
		return nil, err
	}
	err = r.uses.write(ctx)
	var last map[string]time.Time
	if err == nil {
		last, err = r.uses.of(ctx, t.Account)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The uses of the API keys can't be read now.")
	}
	keys := slices.Clone(t.APIKeys)
	for i := range keys {
		keys[i].LastUsed = last[keys[i].ID]
	}
	return keys, nil
}
