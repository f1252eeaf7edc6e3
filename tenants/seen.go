package tenants

import (
	"crypto/sha256"
	"sync"
	"time"
)

// seenTokens remembers tokens that were verified, so that a client that reconnects costs a hash and not a signature.
// It holds sums, never tokens. When it is full, the older half goes.
type seenTokens struct {
	half int

	mu         sync.Mutex
	young, old map[[sha256.Size]byte]seenToken // guarded by mu; at most half each
}

type seenToken struct {
	grant    *Grant
	revision uint64 // of the tenant; another one means that keys or state may have changed
	until    time.Time
}

func newSeenTokens(limit int) *seenTokens {
	return &seenTokens{half: max(1, limit/2), young: make(map[[sha256.Size]byte]seenToken)}
}

func (s *seenTokens) get(sum [sha256.Size]byte) (seenToken, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.young[sum]
	if !ok {
		if t, ok = s.old[sum]; ok {
			s.keep(sum, t)
		}
	}
	return t, ok
}

func (s *seenTokens) put(sum [sha256.Size]byte, t seenToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(sum, t)
}

// keep is called with mu held.
func (s *seenTokens) keep(sum [sha256.Size]byte, t seenToken) {
	if _, known := s.young[sum]; !known && len(s.young) >= s.half {
		s.young, s.old = make(map[[sha256.Size]byte]seenToken, s.half), s.young
	}
	s.young[sum] = t
}
