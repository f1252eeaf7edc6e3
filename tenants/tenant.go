package tenants

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"parley/broker"
)

// State is where a tenant is in its life. The states ending in -ing are steps that a crash may interrupt; the next
// start finishes them (settle.go).
type State string

// The states.
const (
	Creating   State = "creating"   // recorded; its account may not exist yet
	Active     State = "active"     // in use
	Suspending State = "suspending" // refused everywhere; its services may still be connected
	Suspended  State = "suspended"  // refused everywhere
	Resuming   State = "resuming"   // refused until its account is back
	Updating   State = "updating"   // in use; its account is being brought up to date
	Deleting   State = "deleting"   // gone for everyone; its data is being erased
	Restoring  State = "restoring"  // not there yet for anyone; a node fills it from a backup
)

// settled reports whether no step is under way.
func (s State) settled() bool { return s == Active || s == Suspended }

// Tenant is one tenant as the registry knows it. Its JSON form is what clients of the admin API may see: secrets are in
// none of its exported fields, and neither fmt nor encoding/json nor slog can reach them.
type Tenant struct {
	ID       ID               `json:"id"`              // names it everywhere; never changes
	Name     string           `json:"name,omitempty"`  // for people; may be empty
	Account  broker.AccountID `json:"account"`         // its NATS account
	State    State            `json:"state"`           // what is going on with it
	Limits   Limits           `json:"limits"`          // those that were set; never nil in JSON
	Created  time.Time        `json:"created"`         // when it was made
	Keys     []Key            `json:"keys"`            // oldest first, the revoked ones too
	Policies Policies         `json:"policies"`        // of channels
	APIKeys  []APIKey         `json:"api_keys"`        // oldest first, the dead ones too
	Creds    []Creds          `json:"creds,omitempty"` // of its services, oldest first, the dead ones too

	Origins     []string     `json:"origins,omitempty"`     // whose web pages may use it; empty means any
	Revocations []Revocation `json:"revocations,omitempty"` // of tokens, oldest first
	Kicks       []Kick       `json:"kicks,omitempty"`       // the last ones, oldest first

	Revision uint64 `json:"revision"` // grows with every change; never the same for two tenants

	spare spare
	past  int  // earlier records that the bucket may hold, at most
	aged  bool // its streams may keep messages for another time than they were made with
}

// spare is a second account of a tenant: one that a node fills from a backup, or one that was replaced by such a one and
// has yet to be erased. Zero means that there is none.
type spare struct {
	Account broker.AccountID `json:"account"`
	Node    broker.Token     `json:"node,omitempty"` // who fills it; empty when it has to be erased
}

// Suspended reports whether the tenant's tokens are refused although they may be good.
func (t Tenant) Suspended() bool {
	return t.State == Suspending || t.State == Suspended || t.State == Resuming
}

// Gone reports whether the tenant has been deleted.
func (t Tenant) Gone() bool { return t.State == Deleting }

// LogValue keeps the keys out of logs.
func (t Tenant) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", string(t.ID)), slog.String("account", string(t.Account)), slog.String("state", string(t.State)))
}

// Key returns the key named kid, and whether there is one.
func (t Tenant) Key(kid string) (Key, bool) {
	i := slices.IndexFunc(t.Keys, func(k Key) bool { return k.Kid == kid })
	if i < 0 {
		return Key{}, false
	}
	return t.Keys[i], true
}

// APIKey returns the API key with that id, and whether there is one.
func (t Tenant) APIKey(id string) (APIKey, bool) {
	i := slices.IndexFunc(t.APIKeys, func(k APIKey) bool { return k.ID == id })
	if i < 0 {
		return APIKey{}, false
	}
	return t.APIKeys[i], true
}

// clone returns a copy whose lists may be changed.
func (t Tenant) clone() Tenant {
	t.Keys = slices.Clone(t.Keys)
	t.APIKeys = slices.Clone(t.APIKeys)
	t.Policies = slices.Clone(t.Policies)
	t.Limits = maps.Clone(t.Limits)
	t.Creds = slices.Clone(t.Creds)
	t.Revocations = slices.Clone(t.Revocations)
	t.Kicks = slices.Clone(t.Kicks)
	return t
}

// account is what the engine has to be told of the tenant.
func (t Tenant) account() broker.Account {
	a := broker.Account{
		ID: t.Account, Name: string(t.ID), Suspended: t.State == Suspending || t.State == Suspended,
		Services: t.Limits[Connections], StorageBytes: t.Limits[StorageBytes], HistoryAge: t.Limits.historyAge(),
	}
	for _, c := range t.Creds {
		if !c.Revoked.IsZero() {
			a.RevokedUsers = append(a.RevokedUsers, c.UserKey)
		} else if broker.NeedCopies(c.Publish...) || broker.NeedCopies(c.Subscribe...) {
			a.Served = true
		}
	}
	return a
}
