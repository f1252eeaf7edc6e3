package frontends

import (
	"net/http"

	"github.com/google/uuid"

	"parley/broker"
	"parley/frontends/door"
	"parley/internal/fault"
	"parley/internal/meter"
)

// dialects are the names under which connections are counted.
func dialects() []string {
	return []string{"agents", "assistant", "bots", "chat", "meet", "tenantchat"}
}

// Report implements meter.Source.
func (e *Edge) Report(r *meter.Report) {
	e.door.Report(r)
	meter.ByLabel(r, "parley_requests_refused_total", "HTTP requests of clients that were refused, by error code.", "reason", &e.refused)
	r.Gauge("parley_publishes_inflight", "Messages of agents that are on their way to the disk.", float64(e.agents.Unacked()))
}

// countRefusal counts a request that was not carried out.
func (e *Edge) countRefusal(r *http.Request, why fault.Code) {
	if r.Header.Get("Upgrade") != "" {
		e.door.Refuse(why)
		return
	}
	e.refused.Inc(why)
}

// identified gives each request an id, by which it can be found in the log. A client, or a proxy before the broker, may
// have given it one.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(door.RequestID)
		if _, err := broker.ParseToken(id); err != nil {
			id = uuid.Must(uuid.NewV7()).String()
		}
		w.Header().Set(door.RequestID, id)
		next.ServeHTTP(w, r)
	})
}
