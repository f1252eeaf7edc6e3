package adminkey

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
)

// noteEvery is how often a node writes down that a key is being used.
const noteEvery = time.Minute

// usedRoot is before the names of keys where the bucket has when they were used last.
const usedRoot = "used."

// note writes down that a key is used, unless this node has just done so. Whoever uses it need not know that it failed.
func (s *Store) note(ctx context.Context, name string) {
	now := s.now()
	s.mu.Lock()
	due := now.Sub(s.noted[name]) >= noteEvery
	if due {
		s.noted[name] = now
	}
	s.mu.Unlock()
	if !due {
		return
	}
	if _, err := s.bucket.PutString(ctx, usedRoot+name, now.UTC().Format(time.RFC3339)); err != nil {
		s.log.Warn("The use of an admin key can't be written down now.", "key", name, "error", err)
	}
}

// List returns all keys, oldest first, with the time of their last use.
func (s *Store) List(ctx context.Context) ([]Key, error) {
	all, _, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	used, err := s.used(ctx)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The uses of the admin keys can't be read now.")
	}
	keys := make([]Key, len(all))
	for i, r := range all {
		keys[i] = r.Key
		keys[i].LastUsed = used[r.Name]
	}
	return keys, nil
}

// used returns when keys were used last, by their names.
func (s *Store) used(ctx context.Context) (map[string]time.Time, error) {
	last := map[string]time.Time{}
	err := broker.Present(ctx, s.bucket, usedRoot+"*", func(e jetstream.KeyValueEntry) {
		if at, err := time.Parse(time.RFC3339, string(e.Value())); err == nil {
			last[e.Key()[len(usedRoot):]] = at
		}
	})
	return last, err
}
