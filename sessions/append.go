package sessions

import (
	"context"

	"parley/acks"
	"parley/broker"
	"parley/internal/fault"
	"parley/internal/trace"
)

// append stores an event and waits until it is on disk. next is what holds after it; nil for a chunk. An error ends the
// writer: whether the event was stored may be unknown, and the log has to be read again.
func (w *writer) append(e *Event, next *State) error { return w.appendTraced(e, next, "") }

// appendTraced is append for an event that belongs to a trace, unless parent is empty.
func (w *writer) appendTraced(e *Event, next *State, parent string) error {
	e.Index, e.State = w.fold.index+1, next
	if e.Time.IsZero() {
		e.Time = now()
	}
	data, err := encode(e)
	if err != nil {
		w.broken = err
		return err
	}
	m := acks.Message{Subject: w.log, Sender: w.id, Data: data, After: &w.fold.seq}
	if e.Kind == Chunk {
		m.TTL = chunkTTL
		if w.settled && !w.space.hub.engine.Clustered() { // docs/adr/0011
			m.After = nil
		}
	}
	var span *trace.Span
	if parent != "" {
		span = w.traceStore(e, parent)
		m.Trace = span.Traceparent()
	}
	o := w.space.publish.Store(context.WithoutCancel(w.space.life), m) // its own timeout bounds it
	span.End(string(fault.CodeOf(o.Err)))
	if o.Err != nil {
		w.broken = o.Err
		return o.Err
	}
	w.appended(e, o.Seq)
	return nil
}

// appended takes note of an event that is on disk, and tells who wants to know.
func (w *writer) appended(e *Event, seq uint64) {
	before := w.fold.seq
	w.fold.apply(e, seq)
	w.settled = true
	if !w.space.hub.engine.Clustered() { // nobody else writes here, and nobody is told before the disk has it
		if watch := w.watch.Load(); watch != nil {
			watch.take(e, seq)
		}
		w.copy(e, seq, before)
	}
	if w.recent != nil && e.isMessage() {
		w.recent = appendLine(w.recent, e)
	}
}

// copy tells the tenant's services of an event, as the stream does it where there are more nodes. The copy may get lost.
func (w *writer) copy(e *Event, seq, before uint64) {
	if !w.space.conn.Heard(w.live) {
		return
	}
	if data, err := encode(e); err == nil { // it was laid out before
		_ = w.space.link.Publish(broker.Departure{Subject: w.live, Data: data, CopyOf: &broker.Original{
			Stream: broker.Sessions, Subject: w.log, Seq: seq, Previous: before,
		}})
	}
}
