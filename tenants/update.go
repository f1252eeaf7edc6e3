package tenants

import (
	"context"

	"parley/internal/fault"
)

// Change says what to change of a tenant. What is nil stays.
type Change struct {
	Name   *string // for people, at most 256 bytes
	Limits LimitChanges
}

// Check returns fault.InvalidFormat for what can't be stored.
func (c Change) Check() error {
	if c.Name != nil && len(*c.Name) > maxNameBytes {
		return fault.New(fault.InvalidFormat, "A tenant's name is at most %d bytes long.", maxNameBytes)
	}
	return c.Limits.Check()
}

// Update changes a tenant's name and limits. Limits are in force on this node when it returns, and on the others moments
// later. Errors are fault.InvalidFormat and NotFound.
func (r *Registry) Update(ctx context.Context, id ID, c Change) (Tenant, error) {
	if err := c.Check(); err != nil {
		return Tenant{}, err
	}
	return r.change(ctx, id, func(t *Tenant) (bool, error) {
		before := *t
		if c.Name != nil {
			t.Name = *c.Name
		}
		var changed bool
		t.Limits, changed = c.Limits.apply(t.Limits)
		if t.account().Terms() != before.account().Terms() {
			t.State = t.State.unsettled()
		}
		return changed || t.Name != before.Name, nil
	})
}

// unsettled is the step that has the engine learn of a change of the account, and ends in the state s.
func (s State) unsettled() State {
	if s == Suspended {
		return Suspending
	}
	return Updating
}
