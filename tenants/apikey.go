package tenants

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"time"

	"parley/internal/fault"
	"parley/internal/hashedkey"
)

// Scope is something that an API key is good for.
type Scope string

// The scopes.
const (
	ReadChats  Scope = "chats:read"  // list chats and read what was said in them
	WriteChats Scope = "chats:write" // make chats and delete them, and speak in them
	MeetRooms  Scope = "rooms"       // make meet rooms, and see who is in them
)

// allScopes are what a key gets that names none.
var allScopes = [...]Scope{ReadChats, WriteChats, MeetRooms}

// ParseScope returns s as a Scope, or fault.InvalidFormat.
func ParseScope(s string) (Scope, error) {
	if scope := Scope(s); slices.Contains(allScopes[:], scope) {
		return scope, nil
	}
	return "", fault.New(fault.InvalidFormat, "An API key has the scopes %s, %s and %s.", ReadChats, WriteChats, MeetRooms)
}

// APIKey lets a back end of the tenant speak for any of the tenant's users. What it is made of is known to whoever got
// it when it was made, and to nobody else: the registry keeps a hash.
type APIKey struct {
	ID       string    `json:"id"`                 // names it in lists and logs
	Name     string    `json:"name,omitempty"`     // for people; may be empty
	Prefix   string    `json:"prefix"`             // how the key begins, so that one that was found somewhere can be told
	Scopes   []Scope   `json:"scopes"`             // what it is good for
	Created  time.Time `json:"created"`            // when it was made
	NotAfter time.Time `json:"not_after,omitzero"` // Zero means never.
	Revoked  time.Time `json:"revoked,omitzero"`   // Zero means it is not.
	LastUsed time.Time `json:"last_used,omitzero"` // only Registry.APIKeys says so. Zero means never, or more than 400 days ago.

	sum hashedkey.Sum // of its text; zero when it is revoked
}

// LogValue keeps logs short.
func (k APIKey) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", k.ID), slog.String("name", k.Name))
}

// Live reports whether the key is good for anything at the time now.
func (k APIKey) Live(now time.Time) bool {
	return k.Revoked.IsZero() && (k.NotAfter.IsZero() || now.Before(k.NotAfter))
}

// APIKeySpec asks for an API key.
type APIKeySpec struct {
	Name     string    // for people, at most 256 bytes
	Scopes   []Scope   // Defaults to all.
	NotAfter time.Time // Zero means never.
}

// An API key reads parley_TENANT_ID_SECRET: the tenant, since nobody wants to try those of all, and then two numbers in
// hexadecimal.
const (
	apiKeyMark      = "parley_"
	apiKeyIDBytes   = 8
	maxAPIKeyBytes  = 256
	maxAPIKeys      = 100 // of a tenant, the dead ones included
	apiKeySeparator = "_"
)

// newAPIKey checks spec and returns the key it asks for, and its text. Errors are fault.InvalidFormat.
func newAPIKey(tenant ID, spec APIKeySpec, now time.Time) (k APIKey, text string, err error) {
	if len(spec.Name) > maxNameBytes {
		return k, "", fault.New(fault.InvalidFormat, "An API key's name is at most %d bytes long.", maxNameBytes)
	}
	if !spec.NotAfter.IsZero() && !now.Before(spec.NotAfter) {
		return k, "", fault.New(fault.InvalidFormat, "The API key would have expired already.")
	}
	k = APIKey{Name: spec.Name, Created: now.UTC().Truncate(time.Millisecond), NotAfter: spec.NotAfter}
	for _, s := range spec.Scopes {
		if s, err = ParseScope(string(s)); err != nil {
			return k, "", err
		}
		if !slices.Contains(k.Scopes, s) {
			k.Scopes = append(k.Scopes, s)
		}
	}
	if k.Scopes == nil {
		k.Scopes = allScopes[:]
	}
	var id [apiKeyIDBytes]byte
	rand.Read(id[:]) // never fails, see crypto/rand
	k.ID = hex.EncodeToString(id[:])
	k.Prefix = apiKeyMark + string(tenant) + apiKeySeparator + k.ID
	text, k.sum = hashedkey.New(k.Prefix)
	return k, text, nil
}

// IsAPIKey reports whether a credential means to be an API key, and not a token.
func IsAPIKey(credential string) bool { return strings.HasPrefix(credential, apiKeyMark) }

// cutAPIKey returns the tenant and the id that the text of an API key names.
func cutAPIKey(text string) (tenant ID, id string, ok bool) {
	if len(text) > maxAPIKeyBytes {
		return "", "", false
	}
	prefix, ok := hashedkey.Prefix(text)
	rest, marked := strings.CutPrefix(prefix, apiKeyMark)
	end := strings.LastIndex(rest, apiKeySeparator) // a tenant's id may hold separators, the number does not
	if !ok || !marked || end < 0 {
		return "", "", false
	}
	return ID(rest[:end]), rest[end+1:], true
}
