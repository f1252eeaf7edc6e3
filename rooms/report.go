package rooms

import "parley/internal/meter"

var _ meter.Source = (*Hub)(nil)

// Report implements meter.Source. Rooms and participants are those of the tenants in use on this node, wherever the
// participants are connected; signals are those of this node's own.
func (h *Hub) Report(r *meter.Report) {
	var exist, present int64
	for _, s := range h.spaces.Open() {
		exist += s.exist.Load()
		present += s.present.Load()
	}
	r.Gauge("parley_rooms", "Meet rooms of the tenants in use on this node.", float64(exist))
	r.Gauge("parley_room_participants", "Participants in these rooms, on all nodes.", float64(present))
	r.Counter("parley_room_signals_total", "Signals that participants on this node have sent.", h.signals.Value())
}
