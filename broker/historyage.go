package broker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// historyAges are those of the accounts whose messages are kept for another time than Config says.
type historyAges struct {
	mu sync.Mutex
	of map[AccountID]time.Duration // guarded by mu; negative means for ever
}

// or returns how long an account's messages are kept, 0 for ever; usual is how long others' are.
func (h *historyAges) or(a AccountID, usual time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	age, ok := h.of[a]
	if !ok {
		return usual
	}
	return max(age, 0)
}

// NoteAccount tells the engine what is known of an account, for streams that this node makes later. It does not block.
func (e *Engine) NoteAccount(a Account) {
	if a.Served {
		e.copyings.account(a.ID).wanted.Store(true)
	}
	h := &e.ages
	h.mu.Lock()
	defer h.mu.Unlock()
	if a.HistoryAge == 0 {
		delete(h.of, a.ID)
		return
	}
	if h.of == nil {
		h.of = map[AccountID]time.Duration{}
	}
	h.of[a.ID] = a.HistoryAge
}

// ApplyHistoryAge has the streams that an account has by now keep messages as long as Account.HistoryAge says. What is too
// old is dropped at once. Repeating it changes nothing.
func (e *Engine) ApplyHistoryAge(ctx context.Context, a Account) error {
	e.NoteAccount(a)
	c, err := e.Acquire(ctx, a.ID)
	if err != nil {
		return err
	}
	defer c.Release()
	for _, s := range []Stream{Channels, Inboxes, Sessions} {
		if err := c.applyAge(ctx, s); err != nil {
			return fault.Wrap(fault.Unavailable, err, "The tenant's store can't be reached now.").WithFix("Repeat the command.")
		}
	}
	return nil
}

func (c *Conn) applyAge(ctx context.Context, s Stream) error {
	c.copying.mu.RLock()
	defer c.copying.mu.RUnlock()
	stream, err := c.js.Stream(ctx, string(s))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	cfg, want := stream.CachedInfo().Config, c.streamConfig(s)
	if cfg.MaxAge == want.MaxAge {
		return nil
	}
	cfg.MaxAge, cfg.Duplicates, cfg.RePublish = want.MaxAge, want.Duplicates, want.RePublish
	_, err = c.js.UpdateStream(ctx, cfg)
	return err
}
