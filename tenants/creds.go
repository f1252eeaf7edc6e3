package tenants

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

// maxCreds bounds a tenant's credentials, the dead ones included.
const maxCreds = 300

// Creds is what is known of a service's .creds file. The secret in it is known to whoever got it, and to nobody else.
type Creds struct {
	UserKey   string       `json:"user_key"`            // names it: no two have the same
	Name      string       `json:"name"`                // of the service; several may have the same
	Role      string       `json:"role,omitempty"`      // what they were issued as
	Queue     broker.Token `json:"queue,omitempty"`     // whose requests a worker takes
	Publish   []string     `json:"publish,omitempty"`   // subjects; in addition to what a worker needs
	Subscribe []string     `json:"subscribe,omitempty"` // as Publish
	Created   time.Time    `json:"created"`             // when they were issued
	Expires   time.Time    `json:"expires,omitzero"`    // Zero means never.
	Revoked   time.Time    `json:"revoked,omitzero"`    // Zero means it is not.
}

// Live reports whether a service can connect with it at the time now.
func (c Creds) Live(now time.Time) bool { return c.Revoked.IsZero() && !c.expired(now) }

func (c Creds) expired(now time.Time) bool { return !c.Expires.IsZero() && !now.Before(c.Expires) }

// LogValue keeps logs short.
func (c Creds) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", c.Name), slog.String("user_key", c.UserKey))
}

// IssueCreds makes credentials for a service and remembers that it has. role is for people. The text can't be had a second
// time. When the tenant has as many as it may, one that has expired gives way. Errors are fault.NotFound, TenantSuspended,
// LimitExceeded and those of broker.Engine.Creds.
func (r *Registry) IssueCreds(ctx context.Context, id ID, role string, req broker.CredsRequest) (issued Creds, text []byte, err error) {
	res, ok := r.resident(id)
	switch {
	case !ok:
		return Creds{}, nil, notFound(id)
	case res.tenant.Suspended():
		return Creds{}, nil, suspended(id)
	}
	text, key, err := r.engine.Creds(ctx, res.tenant.Account, req)
	if err != nil {
		return Creds{}, nil, err
	}
	now := r.cfg.Now()
	issued = Creds{
		UserKey: key, Name: req.Name, Role: role, Queue: req.Queue, Publish: req.Publish, Subscribe: req.Subscribe,
		Created: now.UTC().Truncate(time.Millisecond), Expires: req.Expires.UTC().Truncate(time.Second),
	}
	_, err = r.change(ctx, id, func(t *Tenant) (bool, error) {
		if t.Account != res.tenant.Account { // deleted, and made again
			return false, notFound(id)
		}
		return true, t.addCreds(issued, now)
	})
	if err != nil {
		return Creds{}, nil, err
	}
	return issued, text, nil
}

func (t *Tenant) addCreds(c Creds, now time.Time) error {
	if len(t.Creds) >= maxCreds {
		// Those that were revoked and would not have expired must be remembered: the servers refuse them for that.
		dead := slices.IndexFunc(t.Creds, func(c Creds) bool { return c.expired(now) })
		if dead < 0 {
			return fault.New(fault.LimitExceeded, "A tenant has at most %d credentials that have not expired.", maxCreds).
				WithFix("Give credentials an end with --ttl, so that they make room: parley creds list --tenant %s", t.ID)
		}
		t.Creds = slices.Delete(t.Creds, dead, dead+1)
	}
	t.Creds = append(t.Creds, c)
	return nil
}

// CredsSelector says which credentials are meant: those of a name, or the one with a user key. Exactly one is set.
type CredsSelector struct {
	Name    string
	UserKey string
}

func (s CredsSelector) matches(c Creds) bool {
	return s.Name != "" && c.Name == s.Name || s.UserKey != "" && c.UserKey == s.UserKey
}

// RevokeCreds cuts off the services that are connected with these credentials and refuses them from then on, on all nodes
// that can be reached; the others take it over as soon as they can be. It returns all that were meant, those that were
// revoked before included. Errors are fault.NotFound and InvalidFormat.
func (r *Registry) RevokeCreds(ctx context.Context, id ID, which CredsSelector) (revoked []Creds, err error) {
	if countSet(which.Name != "", which.UserKey != "") != 1 {
		return nil, fault.New(fault.InvalidFormat, "Say which credentials: those of a name, or the one with a user key.")
	}
	now := r.cfg.Now().UTC().Truncate(time.Millisecond)
	_, err = r.change(ctx, id, func(t *Tenant) (changed bool, err error) {
		revoked = nil
		for i := range t.Creds {
			c := &t.Creds[i]
			if !which.matches(*c) {
				continue
			}
			if c.Revoked.IsZero() {
				c.Revoked, changed = now, true
			}
			revoked = append(revoked, *c)
		}
		if revoked == nil {
			return false, fault.New(fault.NotFound, "The tenant %s has no such credentials.", id).
				WithFix("See them with: parley creds list --tenant %s", id)
		}
		if changed {
			t.State = t.State.unsettled()
		}
		return changed, nil
	})
	return revoked, err
}
