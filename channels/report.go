package channels

import (
	"maps"
	"slices"

	"parley/internal/meter"
)

// counts are what a Hub has seen.
type counts struct {
	delivered meter.Counter
	repairs   meter.Counter
	dropped   meter.Counter
	resumes   meter.Counters[resume]
}

// resume is from where a client that came back got what it had missed.
type resume string

const (
	fromMemory resume = "memory"
	fromStore  resume = "store"
	withGap    resume = "gap" // not everything is there any more
)

// Report implements meter.Source.
func (h *Hub) Report(r *meter.Report) {
	n := &h.counts
	spaces, topics, subscriptions := h.open()
	r.Gauge("parley_tenants_active", "Tenants whose channels are open on this node.", float64(spaces))
	r.Gauge("parley_topics", "Channels and inboxes that somebody on this node listens to.", float64(topics))
	r.Gauge("parley_subscriptions", "Places of connections in channels and inboxes.", float64(subscriptions))
	r.Counter("parley_messages_delivered_total", "Messages of channels and inboxes that were handed to a connection, each as often as it had receivers.", n.delivered.Value())
	meter.ByLabel(r, "parley_resumes_total", "Subscriptions that asked for what they had missed, by where it came from.", "result", &n.resumes,
		fromMemory, fromStore, withGap)
	r.Counter("parley_live_repairs_total", "Reads of messages that did not arrive live.", n.repairs.Value())
	r.Counter("parley_live_dropped_total", "Live copies that did not fit into memory and were read back.", n.dropped.Value())
}

// open counts what is open.
func (h *Hub) open() (spaces, topics, subscriptions int) {
	h.mu.Lock()
	all := slices.Collect(maps.Values(h.spaces))
	h.mu.Unlock()
	for _, s := range all {
		s.mu.Lock()
		topics += len(s.topics)
		for _, t := range s.topics {
			subscriptions += t.refs
		}
		s.mu.Unlock()
	}
	return len(all), topics, subscriptions
}
