package adminkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
	"parley/internal/hashedkey"
)

// engine is what a Store needs of a broker.Engine.
type engine interface {
	Bucket(ctx context.Context, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error)
	Sync() error
	Ready() error
}

var _ engine = (*broker.Engine)(nil)

const (
	bucketName = "adminkeys"
	allKeys    = "all" // where in the bucket the keys are: one value, so that names and their number are certain
	maxKeys    = 100   // the dead ones included
	askWithin  = 3 * time.Second
)

// record is a key as it is stored.
type record struct {
	Key
	Sum []byte `json:"sum,omitempty"` // of its text; absent when it is revoked
}

func (r record) fits(text string) bool {
	var sum hashedkey.Sum
	copy(sum[:], r.Sum)
	return sum.Fits(text) && len(r.Sum) == len(sum)
}

// Store holds the keys, for all nodes of the cluster. Nothing of them is remembered here: each question is answered by the
// bucket's leader, so that a key that was revoked on one node is refused on all others from the same moment on. A node that is
// cut off from the others takes no keys once it has noticed: until then it may believe that it is the leader. All methods may
// be called concurrently. Errors are fault errors; fault.Unavailable means that nobody could be asked.
type Store struct {
	engine engine
	bucket jetstream.KeyValue
	now    func() time.Time
	log    *slog.Logger

	mu    sync.Mutex
	noted map[string]time.Time // when this node last wrote down that a key was used; guarded by mu
}

// Open opens the keys in the broker's own account, at first use with none.
func Open(ctx context.Context, e *broker.Engine, log *slog.Logger) (*Store, error) {
	bucket, err := e.Bucket(ctx, jetstream.KeyValueConfig{
		Bucket: bucketName, Description: "Named keys of admins, and when they were used last.", History: 1, Storage: jetstream.FileStorage,
	})
	if err != nil {
		return nil, fmt.Errorf("open the admin keys: %w", err)
	}
	return &Store{engine: e, bucket: bucket, now: time.Now, log: log, noted: map[string]time.Time{}}, nil
}

// Create makes a key. The text is the key itself: it can't be had a second time. When there are as many as there may be, the
// oldest one that is dead gives way. Errors are also fault.InvalidID, InvalidFormat, AlreadyExists and LimitExceeded.
func (s *Store) Create(ctx context.Context, spec Spec) (key Key, text string, err error) {
	now := s.now()
	made, text, err := newKey(spec, now)
	if err != nil {
		return Key{}, "", err
	}
	err = s.change(ctx, func(all []record) ([]record, error) {
		if i := find(all, spec.Name); i >= 0 {
			return nil, taken(all[i].Key, now)
		}
		if len(all) >= maxKeys {
			dead := slices.IndexFunc(all, func(r record) bool { return !r.Live(now) })
			if dead < 0 {
				return nil, fault.New(fault.LimitExceeded, "There are at most %d admin keys.", maxKeys).WithFix("Revoke one that is not needed: parley adminkey list")
			}
			all = slices.Delete(all, dead, dead+1)
		}
		return append(all, made), nil
	})
	if err != nil {
		return Key{}, "", err
	}
	return made.Key, text, nil
}

func taken(k Key, now time.Time) error {
	e := fault.New(fault.AlreadyExists, "There is an admin key %s already.", k.Name)
	if !k.Live(now) {
		e = fault.New(fault.AlreadyExists, "There was an admin key %s, and the audit log knows it by that name.", k.Name)
	}
	return e.WithFix("Choose another name, such as %s-2.", k.Name)
}

// Revoke makes a key good for nothing from now on, on all nodes. Its hash is erased. It may be repeated.
func (s *Store) Revoke(ctx context.Context, name string) (revoked Key, err error) {
	err = s.change(ctx, func(all []record) ([]record, error) {
		i := find(all, name)
		if i < 0 {
			return nil, fault.New(fault.NotFound, "There is no admin key %q.", name).WithFix("See them with: parley adminkey list")
		}
		if all[i].Revoked.IsZero() {
			all[i].Revoked, all[i].Sum = s.now().UTC().Truncate(time.Millisecond), nil
		}
		revoked = all[i].Key
		return all, nil
	})
	return revoked, err
}

// Verify returns the key whose text that is, or fault.AuthFailed or TokenExpired.
func (s *Store) Verify(ctx context.Context, text string) (Key, error) {
	name, ok := nameIn(text)
	if !ok {
		return Key{}, wrong()
	}
	if err := s.engine.Ready(); fault.CodeOf(err) == fault.Unavailable {
		return Key{}, unavailable(err)
	}
	all, _, err := s.load(ctx)
	if err != nil {
		return Key{}, err
	}
	var r record
	if i := find(all, name); i >= 0 {
		r = all[i]
	}
	switch {
	case !r.fits(text):
		return Key{}, wrong()
	case !r.Live(s.now()):
		return Key{}, fault.New(fault.TokenExpired, "The admin key %s expired at %s.", r.Name, r.NotAfter.UTC().Format(time.RFC3339)).WithFix("Ask for a new one.")
	}
	s.note(ctx, r.Name)
	return r.Key, nil
}

func wrong() error { return fault.New(fault.AuthFailed, "The admin key is wrong.") }

func find(all []record, name string) int {
	return slices.IndexFunc(all, func(r record) bool { return r.Name == name })
}

// load asks for all keys, oldest first, and for the revision that Update wants.
func (s *Store) load(ctx context.Context) (all []record, revision uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	entry, err := s.bucket.Get(ctx, allKeys)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(entry.Value(), &all)
	}
	if err != nil {
		return nil, 0, unavailable(err)
	}
	return all, entry.Revision(), nil
}

func unavailable(err error) error {
	return fault.Wrap(fault.Unavailable, err, "The admin keys can't be looked up now.").
		WithFix("The key in the file admin.key of a node's data directory is good on that node.")
}

// change stores what f makes of the keys. Another node may do so at the same time: then f is asked again.
func (s *Store) change(ctx context.Context, f func([]record) ([]record, error)) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	for {
		all, revision, err := s.load(ctx)
		if err != nil {
			return err
		}
		if all, err = f(all); err != nil {
			return err
		}
		value, err := json.Marshal(all)
		if err != nil {
			return err
		}
		_, err = s.bucket.Update(ctx, allKeys, value, revision)
		if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			continue
		}
		if err == nil {
			err = s.engine.Sync()
		}
		if err != nil {
			return fault.Wrap(fault.OutcomeUnknown, err, "It is not known whether the admin keys were changed.").WithFix("See them with: parley adminkey list")
		}
		return nil
	}
}
