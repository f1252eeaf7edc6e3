package frontends

import (
	"testing"

	"parley/tenants"
)

// limit changes limits of a tenant, as an operator does.
func (w *world) limit(t testing.TB, tenant tenants.ID, settings ...string) {
	t.Helper()
	changes, err := tenants.ParseLimits(settings)
	if err == nil {
		_, err = w.registry.Update(t.Context(), tenant, tenants.Change{Limits: changes})
	}
	if err != nil {
		t.Fatal(err)
	}
}
