package worker

import (
	"encoding/json"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// The bounds of an outbox.
const (
	window     = 64        // messages that may be under way unconfirmed
	maxChunk   = 16 << 10  // bytes of text in one message
	maxWaiting = 256 << 10 // bytes that may wait to be sent; then the Handler waits, too
)

// outbox holds what a session has not confirmed yet, in order: first what is numbered and under way, then what waits.
// Text that waits grows together. The Handler fills it and a courier empties it.
type outbox struct {
	head     message       // run, attempt and epoch of all messages
	coalesce time.Duration // how long text waits for more
	changed  chan struct{} // has an element when there is something new to do

	mu       sync.Mutex
	last     uint64        // guarded by mu; the number given last
	sent     []encoded     // guarded by mu; numbered, unconfirmed, oldest first
	waiting  []*message    // guarded by mu; without numbers
	bytes    int           // guarded by mu; of what waits
	rest     string        // guarded by mu; the beginning of a character, whose other bytes are to come
	due      time.Time     // guarded by mu; when what waits is to be sent
	begun    bool          // guarded by mu; there has been text
	room     chan struct{} // guarded by mu; closed when something is taken out
	closed   error         // guarded by mu; why nothing more is taken in, nil while it is
	finished bool          // guarded by mu; the end was taken in
}

// encoded is a message as it goes over the wire. It never changes: what has a number may be in the log already.
type encoded struct {
	n    uint64
	data []byte
}

func newOutbox(r *Request, coalesce time.Duration) *outbox {
	return &outbox{
		head:     message{Run: r.Run, Attempt: r.Attempt, Epoch: r.Epoch},
		coalesce: coalesce, changed: make(chan struct{}, 1), room: make(chan struct{}),
	}
}

// put takes a message in. When there is no room it does not, and returns a channel that is closed when there may be.
func (b *outbox) put(m *message) (full <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil || b.bytes >= maxWaiting {
		return b.room, b.closed
	}
	b.append(m)
	return nil, nil
}

// putText is put for a piece of text, which may begin and end within a character.
func (b *outbox) putText(text string) (full <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil || b.bytes >= maxWaiting {
		return b.room, b.closed
	}
	text, b.rest = b.rest+text, ""
	for piece := whole(text); piece != ""; piece = whole(text) {
		b.append(&message{Type: typeChunk, Text: piece})
		text = text[len(piece):]
	}
	b.rest = text
	return nil, nil
}

// finish takes the last message in. Only the first call counts.
func (b *outbox) finish(m *message, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		return
	}
	b.append(m)
	b.closed, b.finished = why, true
	b.makeRoom()
}

// abandon empties the box: nobody wants what is in it.
func (b *outbox) abandon(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed == nil {
		b.closed = why
	}
	b.sent, b.waiting, b.bytes = nil, nil, 0
	b.makeRoom()
}

// append puts a message behind the others. The first text is due at once, so is everything that is no text, with what
// stands before it.
func (b *outbox) append(m *message) {
	if m.Type != typeChunk && b.rest != "" { // what was to come never will
		broken := b.rest
		b.rest = ""
		b.append(&message{Type: typeChunk, Text: strings.ToValidUTF8(broken, string(utf8.RuneError))})
	}
	now := time.Now()
	switch {
	case m.Type != typeChunk || !b.begun:
		b.due = now
	case len(b.waiting) == 0:
		b.due = now.Add(b.coalesce)
	}
	b.bytes += len(m.Text) + len(m.Arguments) + len(m.Result)
	if tail := len(b.waiting) - 1; m.Type == typeChunk && tail >= 0 && b.waiting[tail].Type == typeChunk && len(b.waiting[tail].Text)+len(m.Text) <= maxChunk {
		b.waiting[tail].Text += m.Text
	} else {
		b.waiting = append(b.waiting, m)
		poke(b.changed)
	}
	b.begun = b.begun || m.Type == typeChunk
}

// whole returns the longest beginning of text that fits into a message and does not end within a character.
func whole(text string) string {
	text = text[:min(len(text), maxChunk)]
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if begin := len(text) - back; utf8.RuneStart(text[begin]) {
			if !utf8.FullRuneInString(text[begin:]) {
				return text[:begin]
			}
			break
		}
	}
	return text
}

// take numbers what is due, as far as the window reaches, and returns it.
func (b *outbox) take(now time.Time) []encoded {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 || now.Before(b.due) {
		return nil
	}
	count := min(len(b.waiting), window-len(b.sent))
	if count <= 0 {
		return nil
	}
	taken := make([]encoded, 0, count)
	for _, m := range b.waiting[:count] {
		b.last++
		b.bytes -= len(m.Text) + len(m.Arguments) + len(m.Result)
		taken = append(taken, b.encode(m, b.last))
	}
	b.waiting = b.waiting[count:]
	b.sent = append(b.sent, taken...)
	b.makeRoom()
	return taken
}

// wake returns when take will have something, and whether it ever will without a change.
func (b *outbox) wake() (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.due, len(b.waiting) > 0 && len(b.sent) < window
}

// unconfirmed returns what is under way, oldest first.
func (b *outbox) unconfirmed() []encoded {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]encoded(nil), b.sent...)
}

// heartbeat returns a message that says only that the worker lives.
func (b *outbox) heartbeat() encoded {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.encode(&message{Type: typeHeartbeat}, 0)
}

// confirm forgets what the log has, and reports whether that is news.
func (b *outbox) confirm(n uint64) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	confirmed := 0
	for confirmed < len(b.sent) && b.sent[confirmed].n <= n {
		confirmed++
	}
	b.sent = b.sent[confirmed:]
	return confirmed > 0
}

// has reports whether message n can be sent again, or is still to come.
func (b *outbox) has(n uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return n > b.last-uint64(len(b.sent))
}

// state returns how far the answer is: confirmed messages, whether some are under way, and whether all is done.
func (b *outbox) state() (confirmed uint64, underWay, done bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last - uint64(len(b.sent)), len(b.sent) > 0, b.finished && len(b.sent)+len(b.waiting) == 0
}

// encode gives m its number. What can't be encoded was checked before it came here.
func (b *outbox) encode(m *message, n uint64) encoded {
	m.Run, m.Attempt, m.Epoch, m.N = b.head.Run, b.head.Attempt, b.head.Epoch, n
	data, err := json.Marshal(m)
	if err != nil {
		panic("worker: a message that is no JSON: " + err.Error())
	}
	return encoded{n, data}
}

func (b *outbox) makeRoom() {
	close(b.room)
	b.room = make(chan struct{})
}

// poke leaves word without waiting.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // there is word already
	}
}
