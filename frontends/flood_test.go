package frontends

import (
	"fmt"
	"testing"
	"time"

	"parley/tenants"
)

// TestFloodsAreHeldBack has a client at every door send far more than its tenant may: it is not read faster than it may be
// refused, which is a hundred times at once and a hundred times a second then.
func TestFloodsAreHeldBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, d := range limitedDoors {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			const free, more, every = 100, 50, 10 * time.Millisecond
			tenant := tenants.ID("flood-" + d.name)
			if _, _, err := w.registry.Create(t.Context(), tenants.Spec{ID: tenant}); err != nil {
				t.Fatal(err)
			}
			p := w.enter(t, d, tenant, "ann")
			w.limit(t, tenant, "messages_per_second=0", "tenant_messages_per_second=1")
			began := time.Now()
			for range 2 * (free + more) {
				p.send(fmt.Sprintf(d.ping, ""))
			}
			for range free + more {
				p.refusal("RATE_LIMITED")
			}
			if took := time.Since(began); took < (more-1)*every {
				t.Errorf("%d messages were refused in %s", free+more, took)
			}
		})
	}
}
