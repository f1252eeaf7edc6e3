// Package adminkey keeps the named keys of admins: who holds one may use the admin API of every node of the cluster, as far
// as the key's role goes. What a key is made of is known to whoever got it when it was made, and to nobody else: the broker
// keeps a hash. The key in a node's data directory, which needs no cluster and can't be revoked, is none of these.
package adminkey

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"parley/broker"
	"parley/internal/fault"
	"parley/internal/hashedkey"
	"parley/tenants"
)

// Role says what the holder of a key may do.
type Role string

// The roles.
const (
	Full     Role = "full"      // everything
	ReadOnly Role = "read-only" // look at everything, what people have said included, but at no secrets; change nothing
)

// ParseRole returns s as a Role, Full for "", or fault.InvalidFormat.
func ParseRole(s string) (Role, error) {
	switch Role(s) {
	case "", Full:
		return Full, nil
	case ReadOnly:
		return ReadOnly, nil
	}
	return "", fault.New(fault.InvalidFormat, "An admin key has the role %s or %s.", Full, ReadOnly)
}

// Root is what the key in a node's data directory is called in the audit log. No other key may have that name.
const Root = "root"

// Key is a named key of an admin.
type Key struct {
	Name     string       `json:"name"`               // stands in the audit log; no second key ever gets it
	Role     Role         `json:"role"`               // what its holder may do
	Tenants  []tenants.ID `json:"tenants,omitempty"`  // the only ones that it is good for. Absent means that it is good for the whole broker.
	Prefix   string       `json:"prefix"`             // how the key begins, so that one that was found somewhere can be told
	Created  time.Time    `json:"created"`            // when it was made
	NotAfter time.Time    `json:"not_after,omitzero"` // when it ends. Absent means never.
	Revoked  time.Time    `json:"revoked,omitzero"`   // since when it is refused. Absent means that it is not.
	LastUsed time.Time    `json:"last_used,omitzero"` // to the minute; only lists say so. Absent means never.
}

// LogValue keeps logs short.
func (k Key) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", k.Name), slog.String("role", string(k.Role)))
}

// Live reports whether the key is good for anything at the time now.
func (k Key) Live(now time.Time) bool {
	return k.Revoked.IsZero() && (k.NotAfter.IsZero() || now.Before(k.NotAfter))
}

// GoodFor reports whether the key is good for a tenant, or for the broker as a whole when that is "".
func (k Key) GoodFor(t tenants.ID) bool { return len(k.Tenants) == 0 || slices.Contains(k.Tenants, t) }

// Spec asks for a key.
type Spec struct {
	Name     string       // 1 to 64 characters of A-Z a-z 0-9 _ and -
	Role     Role         // Defaults to Full.
	Tenants  []tenants.ID // Defaults to the whole broker.
	NotAfter time.Time    // Zero means never.
}

// A key reads parleyadmin_NAME_SECRET.
const (
	mark        = "parleyadmin_"
	maxKeyBytes = 256
	maxTenants  = 100 // that one key names
)

// newKey checks spec and returns the key that it asks for, and its text. Errors are fault.InvalidID and InvalidFormat.
func newKey(spec Spec, now time.Time) (k record, text string, err error) {
	if _, err := broker.ParseToken(spec.Name); err != nil {
		return k, "", fault.New(fault.InvalidID, "An admin key's name is 1 to %d characters of A-Z a-z 0-9 _ and -.", broker.MaxTokenBytes)
	}
	if strings.EqualFold(spec.Name, Root) {
		return k, "", fault.New(fault.InvalidID, "The name %s is that of the key in the data directory.", Root).WithFix("Choose another name: it stands in the audit log.")
	}
	k.Key = Key{Name: spec.Name, Created: now.UTC().Truncate(time.Millisecond), NotAfter: spec.NotAfter}
	if k.Role, err = ParseRole(string(spec.Role)); err != nil {
		return k, "", err
	}
	if !spec.NotAfter.IsZero() && !now.Before(spec.NotAfter) {
		return k, "", fault.New(fault.InvalidFormat, "The admin key would have expired already.")
	}
	if len(spec.Tenants) > maxTenants {
		return k, "", fault.New(fault.InvalidFormat, "An admin key names at most %d tenants.", maxTenants)
	}
	for _, t := range spec.Tenants {
		if t, err = tenants.ParseID(string(t)); err != nil {
			return k, "", err
		}
		if !slices.Contains(k.Tenants, t) {
			k.Tenants = append(k.Tenants, t)
		}
	}
	k.Prefix = mark + k.Name
	var sum hashedkey.Sum
	text, sum = hashedkey.New(k.Prefix)
	k.Sum = sum[:]
	return k, text, nil
}

// nameIn returns the name that the text of a key holds.
func nameIn(text string) (name string, ok bool) {
	if len(text) > maxKeyBytes {
		return "", false
	}
	prefix, cut := hashedkey.Prefix(text)
	name, marked := strings.CutPrefix(prefix, mark)
	return name, cut && marked
}
