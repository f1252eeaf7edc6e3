package channels

import (
	"context"
	"sync"
	"time"

	"parley/broker"
	"parley/tenants"
)

const (
	// namesAge is how old this node's knowledge of a tenant's channels may be before a new one is made.
	namesAge = 10 * time.Second
	// namesAtLimit is the same when there seem to be as many as there may be: one may have emptied meanwhile.
	namesAtLimit = time.Second
)

// channelNames are the channels that a tenant has, as far as this node knows. They are only looked at for tenants whose number of
// channels is limited.
type channelNames struct {
	mu    sync.Mutex           // held while the store is asked: a channel that is made is counted before the next one
	known map[broker.Name]bool // guarded by mu
	at    time.Time            // when the store was asked; guarded by mu
}

// mayHold returns fault.LimitExceeded for a channel that would be one more than the tenant may have.
func (s *Space) mayHold(ctx context.Context, n broker.Name) error {
	if s.quota == nil || n == "" {
		return nil
	}
	limit := s.quota.Limit(tenants.Channels, 0)
	if limit == 0 {
		return nil
	}
	c := &s.names
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[n] {
		return nil
	}
	age := time.Since(c.at)
	if full := int64(len(c.known)) >= limit; c.known == nil || age > namesAge || full && age > namesAtLimit {
		all, err := s.Channels(ctx)
		if err != nil {
			return err
		}
		c.known, c.at = map[broker.Name]bool{}, time.Now()
		for _, one := range all {
			c.known[one.Name] = true
		}
		if c.known[n] {
			return nil
		}
	}
	if int64(len(c.known)) >= limit {
		return s.quota.Exceeded(tenants.Channels, "The tenant has %d channels, which is the limit", limit).
			WithFix("Use one of them, or wait until one is empty.")
	}
	c.known[n] = true
	return nil
}
