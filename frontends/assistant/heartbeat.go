package assistant

import (
	"sync"
	"time"
)

// heartbeat asks the client again and again whether it is there.
type heartbeat struct {
	every, within time.Duration
	ask           func() // sends a ping; must not wait
	missing       func() // the client has not answered; must not wait

	mu    sync.Mutex
	timer *time.Timer // guarded by mu; nil when it was stopped
	since time.Time   // guarded by mu; of the first ping without an answer
}

// start begins to ask. stop has to be called in the end.
func (h *heartbeat) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timer = time.AfterFunc(h.every, h.beat)
}

func (h *heartbeat) beat() {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch now := time.Now(); {
	case h.timer == nil:
		return
	case h.since.IsZero():
		h.since = now
	case now.Sub(h.since) >= h.within:
		h.missing()
		return
	}
	h.ask()
	next := h.every
	if left := h.within - time.Since(h.since); left < next { // on time, whatever the interval is
		next = max(left, time.Millisecond)
	}
	h.timer.Reset(next)
}

// answered notes the client's pong.
func (h *heartbeat) answered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since = time.Time{}
}

// stop ends it. Neither ask nor missing is called after stop has returned.
func (h *heartbeat) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
}
