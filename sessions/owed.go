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
	to     sender // of the newest
	n      uint64 // up to where the log has what the worker has sent
	count  int    // 0 when nothing is owed
	until  time.Time
	prompt int // how many more are answered at once
}

// add notes that count more pieces are in the log, which has everything up to n, and where the answer goes. It pays when it
// is time to.
func (d *owed) add(to sender, n uint64, count int, now time.Time) {
	if d.count == 0 {
		d.until = now.Add(owedFor)
	}
	d.to, d.n, d.count = to, n, d.count+count
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
	if d.count > 0 {
		d.to.answer(outputReply{OK: true, N: d.n})
		d.count = 0
	}
}

// payLate is pay if nothing more has come for long enough.
func (d *owed) payLate(now time.Time) {
	if d.count == 0 || now.Before(d.until) {
		return
	}
	if d.count == 1 {
		d.prompt = promptFor
	}
	d.pay()
}
