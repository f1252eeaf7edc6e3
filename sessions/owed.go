package sessions

import "time"

const (
	// maxOwed is how many of a worker's messages are answered together: a fraction of the window of 64 that workers
	// are told to keep.
	maxOwed = 8
	// owedFor is how long the last of them waits, far less than the 2 s after which workers send again.
	owedFor = 250 * time.Millisecond
	// promptFor is how many are answered at once after one has waited alone: its worker may send nothing more until it
	// is answered.
	promptFor = 16
)

// owed is the answer to a worker whose pieces are in the log, as far as it has not got it yet. Answers are cumulative, so
// that one does for several, and each costs as much as a piece.
type owed struct {
	newest *output // nil when nothing is owed
	n      uint64  // up to where the log has what the worker has sent
	count  int
	until  time.Time
	prompt int // how many more are answered at once
}

// add notes that count more pieces, up to newest, are in the log, which has everything up to n. It pays when it is time to.
func (d *owed) add(newest *output, n uint64, count int, now time.Time) {
	if d.newest == nil {
		d.until = now.Add(owedFor)
	}
	d.newest, d.n, d.count = newest, n, d.count+count
	switch {
	case d.prompt > 0:
		d.prompt--
		d.pay()
	case d.count >= maxOwed:
		d.pay()
	}
}

// pay answers what is owed.
func (d *owed) pay() {
	if d.newest != nil {
		d.newest.answer(outputReply{OK: true, N: d.n})
		d.newest, d.count = nil, 0
	}
}

// payLate is pay if nothing more has come for long enough.
func (d *owed) payLate(now time.Time) {
	if d.newest == nil || now.Before(d.until) {
		return
	}
	if d.count == 1 {
		d.prompt = promptFor
	}
	d.pay()
}
