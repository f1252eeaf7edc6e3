package sessions

import (
	"time"

	"parley/internal/fault"
	"parley/quota"
	"parley/tenants"
)

// beginRun counts the answer that a message begins, unless its tenant has as many under way as it may. What waits in the
// same session is no run of its own.
func (w *writer) beginRun() error {
	if w.running {
		return nil
	}
	if q := w.space.quota; q != nil {
		if err := q.Begin(quota.Run, tenants.Runs, 0, "AI answers under way"); err != nil {
			return fault.Wrap(fault.LimitExceeded, err, "%s", fault.Message(err)).WithFix("Send it again when one of them has come.")
		}
	}
	w.running = true
	w.space.hub.counts.running.Add(1)
	return nil
}

// maxPause bounds how long one piece of an answer waits, so that what a session owes does not look like a dead worker.
const maxPause = 5 * time.Second

// limitsTokens reports whether pieces of answers may have to wait.
func (s *space) limitsTokens() bool { return s.quota != nil && s.quota.LimitsTokens() }

// slow keeps chunks for as long as the tenant's limit of tokens asks for. A token is what a worker sends as one chunk. What
// comes meanwhile joins them; anything else, like a user who stops the answer, is not kept waiting.
func (w *writer) slow(all []*output, size int) []*output {
	q := w.space.quota
	if q == nil || all[0].Type != "chunk" {
		return all
	}
	pause := time.Duration(q.Tokens(len(all)))
	if pause == 0 {
		return all
	}
	over := time.NewTimer(min(pause, maxPause))
	defer over.Stop()
	for size < maxOutputText {
		select {
		case c := <-w.calls:
			o := c.output
			if !o.follows(all[len(all)-1]) {
				w.unpop(c)
				return all
			}
			q.Tokens(1)
			all, size = append(all, o), size+len(o.Text)
		case <-over.C:
			return all
		case <-w.space.life.Done():
			return all
		}
	}
	return all
}

// follows reports whether o is the chunk behind another one of the same answer. It may be nil.
func (o *output) follows(last *output) bool {
	return o != nil && o.Type == "chunk" && o.Run == last.Run && o.Attempt == last.Attempt && o.N == last.N+1
}
