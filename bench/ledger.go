package bench

import "sync/atomic"

// ledgerSize bounds the messages of one stream that are sent and not acknowledged.
const ledgerSize = 4096

// ledger is what has been acknowledged of a stream. The sender calls room and send, the publisher's reader acknowledge.
type ledger struct {
	sent  atomic.Uint32
	low   atomic.Uint32 // the lowest number that is not acknowledged
	slots []atomic.Int64
	acked []bool // by number modulo len(slots), of those from low on; the reader's

	acknowledged atomic.Uint64
	duplicated   uint64 // acknowledgements that came again; the reader's
	foreign      uint64 // acknowledgements of what was not sent; the reader's
}

func newLedger(size int) *ledger {
	return &ledger{slots: make([]atomic.Int64, size), acked: make([]bool, size)}
}

// room returns how many messages more may be sent.
func (l *ledger) room() int { return len(l.slots) - int(l.sent.Load()-l.low.Load()) }

// send notes that the next message is sent at a time, in nanoseconds of any clock, and returns its number.
func (l *ledger) send(at int64) uint32 {
	n := l.sent.Load()
	l.slots[int(n)%len(l.slots)].Store(at)
	l.sent.Store(n + 1)
	return n
}

// acknowledge notes an acknowledgement, and returns when its message was sent, and whether it is the first one.
func (l *ledger) acknowledge(number uint32) (sent int64, first bool) {
	low := l.low.Load()
	if number >= l.sent.Load() {
		l.foreign++
		return 0, false
	}
	if number < low || l.acked[int(number)%len(l.slots)] {
		l.duplicated++
		return 0, false
	}
	sent = l.slots[int(number)%len(l.slots)].Load()
	l.acked[int(number)%len(l.slots)] = true
	for l.acked[int(low)%len(l.slots)] {
		l.acked[int(low)%len(l.slots)] = false
		low++
	}
	l.low.Store(low)
	l.acknowledged.Add(1)
	return sent, true
}
