package tenants

import (
	"context"
	"slices"

	"parley/internal/fault"
	"parley/internal/origin"
)

// Change says what to change of a tenant. What is nil stays.
type Change struct {
	Name    *string // for people, at most 256 bytes
	Limits  LimitChanges
	Origins *[]string // whose web pages may use it, as browsers write them; an empty list means any
}

// maxOrigins bounds a tenant's list.
const maxOrigins = 100

// Check returns fault.InvalidFormat for what can't be stored.
func (c Change) Check() error {
	if c.Name != nil && len(*c.Name) > maxNameBytes {
		return fault.New(fault.InvalidFormat, "A tenant's name is at most %d bytes long.", maxNameBytes)
	}
	if c.Origins != nil {
		if _, err := parseOrigins(*c.Origins); err != nil {
			return err
		}
	}
	return c.Limits.Check()
}

// parseOrigins returns a list of origins in order, each in its one form and once.
func parseOrigins(list []string) (parsed []string, err error) {
	if len(list) > maxOrigins {
		return nil, fault.New(fault.LimitExceeded, "A tenant has at most %d origins.", maxOrigins)
	}
	for _, s := range list {
		if s, err = origin.Parse(s); err != nil {
			return nil, err
		}
		parsed = append(parsed, s)
	}
	slices.Sort(parsed)
	return slices.Compact(parsed), nil
}

// Update changes a tenant's name, limits and origins. They are in force on this node when it returns, and on the others moments
// later. Errors are fault.InvalidFormat and NotFound.
func (r *Registry) Update(ctx context.Context, id ID, c Change) (Tenant, error) {
	if err := c.Check(); err != nil {
		return Tenant{}, err
	}
	return r.change(ctx, id, func(t *Tenant) (_ bool, err error) {
		before := *t
		if c.Name != nil {
			t.Name = *c.Name
		}
		var changed bool
		t.Limits, changed = c.Limits.apply(t.Limits)
		t.aged = t.aged || t.account().HistoryAge != before.account().HistoryAge
		if t.account().Terms() != before.account().Terms() {
			t.State = t.State.unsettled()
		}
		if c.Origins != nil {
			if t.Origins, err = parseOrigins(*c.Origins); err != nil {
				return false, err
			}
		}
		return changed || t.Name != before.Name || !slices.Equal(t.Origins, before.Origins), nil
	})
}

// unsettled is the step that has the engine learn of a change of the account, and ends in the state s.
func (s State) unsettled() State {
	if s == Suspended {
		return Suspending
	}
	return Updating
}
