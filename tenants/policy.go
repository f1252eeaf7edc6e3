package tenants

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

// Policy says how the channels are treated whose names fit a pattern. What is zero is as in channels without a policy.
type Policy struct {
	Pattern    string         `json:"pattern"`                   // a channel's name, or a pattern such as team.* or logs.>
	Ephemeral  bool           `json:"ephemeral,omitzero"`        // delivered to who is there, never stored
	MaxAge     int64          `json:"max_age_seconds,omitzero"`  // how long messages are kept
	Messages   int64          `json:"max_messages,omitzero"`     // how many of a channel are kept, the newest
	Bytes      int64          `json:"max_bytes,omitzero"`        // about how many bytes of a channel are kept, the newest
	Publishers []broker.Token `json:"publishers,omitempty"`      // the agents that may publish, if their tokens allow it, too. Empty means all.
	Closed     bool           `json:"closed_to_agents,omitzero"` // no agent may publish, only services and admins
}

// maxPolicies bounds how many a tenant has.
const maxPolicies = 100

// Check returns fault.InvalidFormat for a policy that can't be.
func (p Policy) Check() error {
	switch {
	case !validPattern(p.Pattern) || len(p.Pattern) > broker.MaxNameBytes:
		return fault.New(fault.InvalidFormat, "%.64q is no pattern of channel names, such as news, team.* or logs.>.", p.Pattern)
	case p.MaxAge < 0 || p.MaxAge > int64(10*365*24*time.Hour/time.Second) || p.Messages < 0 || p.Bytes < 0:
		return fault.New(fault.InvalidFormat, "Ages and numbers of messages and bytes are not negative, and nothing is kept for more than ten years.")
	case p.Ephemeral && (p.MaxAge > 0 || p.Messages > 0 || p.Bytes > 0):
		return fault.New(fault.InvalidFormat, "Of an ephemeral channel nothing is kept: it has neither an age nor a number of messages or bytes.")
	case p.Closed && len(p.Publishers) > 0:
		return fault.New(fault.InvalidFormat, "A channel is closed to agents, or some may publish: not both.")
	case len(p.Publishers) > maxPolicies:
		return fault.New(fault.InvalidFormat, "A policy names at most %d publishers.", maxPolicies)
	}
	for _, agent := range p.Publishers {
		if _, err := broker.ParseToken(string(agent)); err != nil {
			return err
		}
	}
	return nil
}

// MayPublish reports whether an agent may publish where the policy holds. "" is a service or an admin, which may.
func (p *Policy) MayPublish(agent broker.Token) bool {
	if p == nil || agent == "" {
		return true
	}
	return !p.Closed && (len(p.Publishers) == 0 || slices.Contains(p.Publishers, agent))
}

// Policies are a tenant's, the more particular ones first: at the first part in which two patterns differ, a name counts
// more than *, and * more than >.
type Policies []Policy

// For returns the policy of a channel, nil when it has none. It does not allocate.
func (all Policies) For(channel broker.Name) *Policy {
	for i := range all {
		if matches(all[i].Pattern, string(channel)) {
			return &all[i]
		}
	}
	return nil
}

func (all Policies) index(pattern string) int {
	return slices.IndexFunc(all, func(p Policy) bool { return p.Pattern == pattern })
}

// byParticularity orders patterns as Policies are.
func byParticularity(a, b Policy) int {
	x, y := strings.Split(a.Pattern, "."), strings.Split(b.Pattern, ".")
	for i := range min(len(x), len(y)) {
		if c := cmp.Compare(wildness(x[i]), wildness(y[i])); c != 0 {
			return c
		}
	}
	return strings.Compare(a.Pattern, b.Pattern)
}

func wildness(token string) int {
	switch token {
	case ">":
		return 2
	case "*":
		return 1
	}
	return 0
}

// PutPolicy makes p the policy of its pattern, in the place of another one if there is one, and reports whether the
// pattern is new. It holds on this node when it returns, and on the others moments later, for open connections, too. Errors
// are fault.InvalidFormat, InvalidID, LimitExceeded and NotFound.
func (r *Registry) PutPolicy(ctx context.Context, id ID, p Policy) (added bool, err error) {
	if err := p.Check(); err != nil {
		return false, err
	}
	_, err = r.change(ctx, id, func(t *Tenant) (bool, error) {
		i := t.Policies.index(p.Pattern)
		if added = i < 0; !added {
			changed := !t.Policies[i].Equal(p)
			t.Policies[i] = p
			return changed, nil
		}
		if len(t.Policies) >= maxPolicies {
			return false, fault.New(fault.LimitExceeded, "A tenant has at most %d channel policies.", maxPolicies)
		}
		t.Policies = append(t.Policies, p)
		slices.SortFunc(t.Policies, byParticularity)
		return true, nil
	})
	return added, err
}

// Policies returns a tenant's channel policies, none for a tenant that is not there. The caller does not change them.
func (r *Registry) Policies(id ID) Policies {
	res, _ := r.resident(id)
	return res.tenant.Policies
}

// Equal reports whether two policies say the same.
func (p Policy) Equal(q Policy) bool {
	same := slices.Equal(p.Publishers, q.Publishers)
	return same && p.Pattern == q.Pattern && p.Ephemeral == q.Ephemeral && p.MaxAge == q.MaxAge && p.Messages == q.Messages && p.Bytes == q.Bytes && p.Closed == q.Closed
}

// RemovePolicy removes the policy of a pattern, or returns fault.NotFound.
func (r *Registry) RemovePolicy(ctx context.Context, id ID, pattern string) error {
	_, err := r.change(ctx, id, func(t *Tenant) (bool, error) {
		i := t.Policies.index(pattern)
		if i < 0 {
			return false, fault.New(fault.NotFound, "The tenant %s has no policy for %q.", id, pattern).
				WithFix("See them with: parley channel policy list --tenant %s", id)
		}
		t.Policies = slices.Delete(t.Policies, i, i+1)
		return true, nil
	})
	return err
}
