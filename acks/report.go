package acks

import (
	"time"

	"parley/internal/fault"
	"parley/internal/meter"
)

// counts are what a Committer has seen.
type counts struct {
	stored     meter.Counter
	passed     meter.Counter
	duplicates meter.Counter
	failed     meter.Counters[fault.Code]
	rounds     meter.Counter
	latency    *meter.Histogram // of messages that were stored
	syncs      *meter.Histogram
}

func newCounts() counts { return counts{latency: meter.Fine(), syncs: meter.Fine()} }

// add counts one message of a round that is settled now.
func (c *counts) add(s settled, now time.Time) {
	switch {
	case s.outcome.Err != nil:
		c.failed.Inc(fault.CodeOf(s.outcome.Err))
		return
	case s.outcome.Unstored:
		c.passed.Inc()
		return
	case s.outcome.Duplicate:
		c.duplicates.Inc()
	default:
		c.stored.Inc()
		s.meter.Stored.Inc()
		s.meter.StoredBytes.Add(uint64(s.bytes))
	}
	c.latency.Observe(now.Sub(s.sent))
}

// Refused counts a message that was not even handed to a stream, and why.
func (c *Committer) Refused(err error) { c.counts.failed.Inc(fault.CodeOf(err)) }

// timedSync makes a round durable.
func (c *Committer) timedSync() error {
	began := time.Now()
	err := c.sync()
	c.counts.rounds.Inc()
	c.counts.syncs.Observe(time.Since(began))
	return err
}

// Report implements meter.Source.
func (c *Committer) Report(r *meter.Report) {
	n := &c.counts
	r.Counter("parley_messages_stored_total", "Messages that were stored and confirmed: of clients, and the events of conversations.", n.stored.Value())
	r.Counter("parley_messages_passed_total", "Messages of ephemeral channels, which were handed to who was there.", n.passed.Value())
	r.Counter("parley_messages_duplicate_total", "Messages that were recognised as repetitions and not stored again.", n.duplicates.Value())
	meter.ByLabel(r, "parley_publish_errors_total", "Messages that were not stored, or not for certain, by error code.", "code", &n.failed,
		fault.OutcomeUnknown, fault.StorageFull, fault.Unavailable)
	r.Gauge("parley_messages_inflight", "Messages that the streams have not confirmed yet.", float64(c.underWay.Load()))
	r.Histogram("parley_ack_duration_seconds", "Time from taking a message until it is on disk and its sender can be told.", n.latency)
	r.Counter("parley_commit_rounds_total", "Rounds in which confirmed messages were made durable together.", n.rounds.Value())
	r.Histogram("parley_sync_duration_seconds", "Time that making a round durable took.", n.syncs)
}
