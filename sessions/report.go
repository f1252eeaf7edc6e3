package sessions

import (
	"context"
	"time"

	"parley/internal/meter"
	"parley/quota"
)

// counts are what a Hub has seen.
type counts struct {
	running    meter.Gauge
	ended      meter.Counters[Status]
	firstToken *meter.Histogram
	answer     *meter.Histogram
	lost       meter.Counter
	input      meter.Counter
	output     meter.Counter
	handoffs   meter.Counters[handoff]
	waited     *meter.Histogram
}

// handoff is a step of a conversation from the AI to a human and back.
type handoff string

const (
	handoffAsked    handoff = "asked"    // the user wants a human
	handoffClaimed  handoff = "claimed"  // one has taken over
	handoffReleased handoff = "released" // and handed back to the AI
)

func newCounts() counts {
	return counts{firstToken: meter.Coarse(), answer: meter.Coarse(), waited: meter.Coarse()}
}

// countRunning counts the writer's run while there is one.
func (w *writer) countRunning(now bool) {
	if now == w.running {
		return
	}
	w.running = now
	if now {
		w.space.hub.counts.running.Add(1)
	} else {
		w.space.hub.counts.running.Add(-1)
	}
	if q := w.space.quota; q != nil && now {
		q.Continue(quota.Run)
	} else if q != nil {
		q.End(quota.Run)
	}
}

// countFirst counts how long the user has waited for the first text of an answer, which came at a time.
func (w *writer) countFirst(at time.Time) {
	if len(w.fold.text) > 0 {
		return
	}
	w.span.Event("first text")
	if !w.asked.IsZero() {
		w.space.hub.counts.firstToken.Observe(at.Sub(w.asked))
	}
}

// countEnd counts an answer that is over.
func (w *writer) countEnd(e *Event) {
	n, m := &w.space.hub.counts, w.space.meter
	n.ended.Inc(e.Status)
	m.Runs.Inc()
	if !w.asked.IsZero() {
		n.answer.Observe(time.Since(w.asked))
		w.asked = time.Time{}
	}
	if u := e.Usage; u != nil && u.Input >= 0 && u.Output >= 0 {
		n.input.Add(uint64(u.Input))
		n.output.Add(uint64(u.Output))
		m.InputTokens.Add(uint64(u.Input))
		m.OutputTokens.Add(uint64(u.Output))
	}
}

// countWait counts how long the user has waited for a human.
func (w *writer) countWait() {
	ctx, cancel := context.WithTimeout(w.space.life, openWithin)
	defer cancel()
	text, err := w.space.record(ctx, queuePrefix+string(w.id))
	if err != nil {
		return // it is only counted
	}
	if since, err := time.Parse(time.RFC3339Nano, string(text)); err == nil {
		w.space.hub.counts.waited.Observe(w.fold.time.Sub(since))
	}
}

// inUse counts what is in use.
func (h *Hub) inUse() (watched, writing int) {
	for _, s := range h.spaces.Open() {
		s.mu.Lock()
		watched, writing = watched+len(s.watches), writing+len(s.writers)
		s.mu.Unlock()
	}
	return watched, writing
}

// Report implements meter.Source.
func (h *Hub) Report(r *meter.Report) {
	n := &h.counts
	watched, writing := h.inUse()
	r.Gauge("parley_sessions_followed", "Sessions that somebody on this node follows.", float64(watched))
	r.Gauge("parley_sessions_written", "Sessions that this node writes now.", float64(writing))
	r.Gauge("parley_runs_inflight", "Messages that AI workers are asked to answer, or are answering.", float64(n.running.Value()))
	meter.ByLabel(r, "parley_runs_total", "Answers of AI workers that have ended, by how.", "status", &n.ended, Complete, Stopped, Interrupted, Failed)
	r.Histogram("parley_first_token_seconds", "Time from a message to the first text of its answer.", n.firstToken)
	r.Histogram("parley_run_duration_seconds", "Time from a message to the end of its answer.", n.answer)
	r.Counter("parley_workers_lost_total", "AI workers that fell silent in an answer.", n.lost.Value())
	const tokens, help = "parley_tokens_total", "Tokens of language models, as AI workers report them."
	r.Counter(tokens, help, n.input.Value(), meter.Label{Name: "type", Value: "input"})
	r.Counter(tokens, help, n.output.Value(), meter.Label{Name: "type", Value: "output"})
	meter.ByLabel(r, "parley_handoffs_total", "Steps of conversations from the AI to a human and back.", "step", &n.handoffs, handoffAsked, handoffClaimed, handoffReleased)
	r.Histogram("parley_handoff_wait_seconds", "Time that users waited for the human whom they had asked for.", n.waited)
}
