package bench

import "sync"

// trouble is what went wrong in a run.
type trouble struct {
	mu      sync.Mutex
	refused uint64 // guarded by mu
	ended   uint64 // guarded by mu
	reason  string // the first; guarded by mu
}

// refuse notes an ERROR.
func (t *trouble) refuse(frame []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused++
	if t.reason == "" {
		t.reason = string(frame[:min(len(frame), 300)])
	}
}

// lost notes a connection that ended by itself.
func (t *trouble) lost(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended++
	if t.reason == "" {
		t.reason = err.Error()
	}
}

func (t *trouble) fill(c *Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.Refused, c.Disconnects, c.Reason = t.refused, t.ended, t.reason
}
