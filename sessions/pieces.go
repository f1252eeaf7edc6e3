package sessions

import (
	"time"

	"parley/acks"
)

// Pieces of an answer are nearly all that is ever written to a log. Where no other node can write the session, they need
// not wake the writer's goroutine: whoever brings a piece that is plainly the next one hands it to the store, and whoever
// learns that it is on disk tells the followers, and hands over what has come meanwhile. One event is on its way at a time.
//
// What a writer knows belongs to one of them at any moment: to its goroutine while own is set, to the piece while one is
// being stored, else to whoever holds turn. There is one piece, which is used again and again.

// piece is an event of the running answer on its way to the disk, and the Receipt of it.
type piece struct {
	writer *writer
	event  Event
	from   sender // of the newest of the worker's messages in it
	count  int    // how many these are
	at     time.Time
	acks.Outcome
}

// pass takes what a worker has sent, of which it keeps a copy if at all, and reports false when it is for the goroutine.
// Under turn.
func (w *writer) pass(o *output) bool {
	switch {
	case w.own || o.Type != "chunk" || w.space.hub.engine.Clustered():
		return false
	case w.storing && len(w.behind) < maxCalls:
		kept := *o
		w.behind = append(w.behind, &kept)
		return true
	case w.storing:
		return false
	}
	w.one[0] = o
	return w.store(w.one[:])
}

// store hands pieces to the store that follow each other, and reports false when that takes more than a look: then nothing
// has been done. Under turn.
func (w *writer) store(all []*output) bool {
	a, newest := w.attempt, all[len(all)-1]
	if a == nil || !w.settled || w.broken != nil || w.judge(newest) != nil || all[0].N != a.n+1 || w.space.limitsTokens() {
		return false
	}
	p := &w.piece
	p.event, p.from, p.count, p.at = w.chunk(all), newest.sender, len(all), time.Now()
	e := &p.event
	e.Index, e.Time = w.fold.index+1, stamp(p.at)
	var size int
	w.scratch, size = appendChunk(w.scratch[:0], e)
	if e.Text == "" || w.laidOut+size > maxAnswer {
		return false
	}
	// The publisher copies the data.
	if !w.space.publish.TryPublish(acks.Message{Subject: w.log, Sender: w.id, Data: w.scratch, TTL: chunkTTL}, p) {
		return false
	}
	w.storing, w.laidOut, a.heard, a.n = true, w.laidOut+size, p.at, newest.N
	return true
}

// chunk is the event of pieces that follow each other.
func (w *writer) chunk(all []*output) Event {
	e := Event{Kind: Chunk, ID: w.fold.answer.ID, Text: all[0].Text, Start: w.fold.state.Answer.Seq, Offset: len(w.fold.text), N: all[len(all)-1].N}
	for _, o := range all[1:] {
		e.Text += o.Text
	}
	return e
}

// piecesAtOnce is how many pieces of a round one goroutine tells the followers of: so few that others who wait for the
// committer do not feel it.
const piecesAtOnce = 64

// Settle implements acks.Receipt.
func (p *piece) Settle(o acks.Outcome) {
	p.Outcome = o
	p.writer.space.round = append(p.writer.space.round, p)
}

// Flush implements acks.Receipt: for the first piece of a round it has all of them told. They are of different sessions,
// so that their order does not matter. To wake somebody for them pays only when they are many.
func (p *piece) Flush() {
	s := p.writer.space
	round := s.round
	s.round = nil
	for len(round) > piecesAtOnce {
		some := round[:piecesAtOnce]
		round = round[piecesAtOnce:]
		s.jobs.Go(func() { tellAll(some) }) // which their writers, who wait for them, keep from having ended
	}
	tellAll(round)
}

func tellAll(pieces []*piece) {
	for _, p := range pieces {
		p.tell()
	}
}

// tell passes on that a piece is on disk, or that nobody knows.
func (p *piece) tell() {
	w := p.writer
	if p.Err != nil {
		w.broken = p.Err
		p.from.refuse(p.Err)
	} else {
		w.countFirst(p.at)
		w.appended(&p.event, p.Seq)
		w.owed.add(p.from, w.logged(), p.count, p.at)
	}
	w.goOn()
}

// goOn hands what has come while a piece was being stored to the store, or to the goroutine.
func (w *writer) goOn() {
	w.turn.Lock()
	defer w.turn.Unlock()
	if n := w.together(); n > 0 && !w.own && w.store(w.behind[:n]) {
		rest := copy(w.behind, w.behind[n:])
		clear(w.behind[rest:])
		w.behind = w.behind[:rest]
		return
	}
	w.storing = false
	w.setAlarm()
	if w.own {
		w.stored.Signal()
	} else if w.broken != nil || len(w.behind) > 0 {
		w.ring()
	}
}

// together is how many of the pieces that wait are to be stored as one event. Under turn.
func (w *writer) together() (n int) {
	for size := 0; n < len(w.behind) && size < maxOutputText; n++ {
		if n > 0 && !w.behind[n].follows(w.behind[n-1]) {
			break
		}
		size += len(w.behind[n].Text)
	}
	return n
}

// acquire makes the writer the goroutine's, once nothing is being stored. What came meanwhile is next.
func (w *writer) acquire() {
	w.turn.Lock()
	defer w.turn.Unlock()
	w.own = true
	for w.storing {
		w.stored.Wait()
	}
	for _, o := range w.behind {
		w.held = append(w.held, call{output: o})
	}
	clear(w.behind)
	w.behind = w.behind[:0]
}

// yield lets pieces go past the goroutine, unless something waits for it. It reports whether something does.
func (w *writer) yield() (waits bool) {
	w.turn.Lock()
	defer w.turn.Unlock()
	if len(w.held) > 0 || len(w.calls) > 0 {
		return true
	}
	w.own = false
	w.setAlarm()
	return false
}
