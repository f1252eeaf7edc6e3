package tenants

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// How fresh a key set is kept. Nothing is fetched in the background: a token that needs a key pays for the fetch.
const (
	keySetFresh   = 15 * time.Minute // older than that it is fetched again, so that keys withdrawn there stop working here
	keySetStale   = 24 * time.Hour   // while the identity provider can't be reached, its last key set serves so long
	keySetRefresh = time.Minute      // at most one fetch in that time, however many unknown key ids tokens name
)

// keySet is the key set of one key of one tenant: nothing of it is shared, neither with other tenants nor with another
// key, so that equal key ids of different issuers are never mistaken for each other.
type keySet struct {
	alg   Alg
	url   string
	fetch *fetcher
	now   func() time.Time

	current atomic.Pointer[fetchedSet]
	turn    chan struct{} // holds one token: who has it may fetch, and owns lastTry
	lastTry time.Time
}

type fetchedSet struct {
	keys jwkset.Storage
	find keyfunc.Keyfunc
	at   time.Time
}

var (
	errUnknownKid  = errors.New("the identity provider's key set has no such key")
	errSetTooOld   = errors.New("the identity provider's key set could not be fetched")
	errFetchedSoon = errors.New("the key set was fetched less than a minute ago")
)

func newKeySet(k Key, fetch *fetcher, now func() time.Time) *keySet {
	s := &keySet{alg: k.Alg, url: k.JWKSURL, fetch: fetch, now: now, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// keys returns the public keys that may have signed a token: those of the key set that are for s's algorithm and, if the
// token names one, of that kid.
func (s *keySet) keys(ctx context.Context, kid string) ([]any, error) {
	set := s.current.Load()
	if set.usable(s.now(), keySetFresh) {
		if found, err := s.find(ctx, set, kid); err == nil {
			return found, nil
		}
	}
	fetchErr := s.refresh(ctx, set)
	set = s.current.Load()
	if !set.usable(s.now(), keySetStale) {
		return nil, errors.Join(errSetTooOld, fetchErr)
	}
	return s.find(ctx, set, kid)
}

func (f *fetchedSet) usable(now time.Time, age time.Duration) bool {
	return f != nil && now.Sub(f.at) < age
}

// find looks keys up in set and makes sure that they are of the type and strength that the algorithm asks for.
func (s *keySet) find(ctx context.Context, set *fetchedSet, kid string) ([]any, error) {
	token := &jwt.Token{Header: map[string]any{"alg": string(s.alg)}}
	if kid != "" {
		token.Header["kid"] = kid
	}
	found, err := set.find.KeyfuncCtx(ctx)(token)
	if err != nil {
		return nil, errors.Join(errUnknownKid, err)
	}
	many, ok := found.(jwt.VerificationKeySet)
	if !ok {
		return []any{found}, checkPublic(s.alg, found)
	}
	var fit []any
	for _, key := range many.Keys {
		if checkPublic(s.alg, key) == nil {
			fit = append(fit, key)
		}
	}
	if len(fit) == 0 {
		return nil, errUnknownKid
	}
	return fit, nil
}

// refresh fetches the set unless somebody else has since seen was current, or tried less than a minute ago. One caller
// fetches; the others wait for it.
func (s *keySet) refresh(ctx context.Context, seen *fetchedSet) error {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.turn <- struct{}{} }()
	if s.current.Load() != seen {
		return nil
	}
	now := s.now()
	if !s.lastTry.IsZero() && now.Sub(s.lastTry) < keySetRefresh {
		return errFetchedSoon
	}
	s.lastTry = now
	// Whoever fetches does so for all that wait: its own client hanging up must not fail them.
	keys, err := s.fetch.get(context.WithoutCancel(ctx), s.url)
	if err != nil {
		return err
	}
	find, err := keyfunc.New(keyfunc.Options{Storage: keys, UseWhitelist: []jwkset.USE{"", jwkset.UseSig}})
	if err != nil {
		return fmt.Errorf("read the key set: %w", err)
	}
	s.current.Store(&fetchedSet{keys: keys, find: find, at: now})
	return nil
}
