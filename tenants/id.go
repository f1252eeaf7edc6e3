package tenants

import (
	"parley/broker"
	"parley/internal/fault"
)

// ID names a tenant to people, tokens and URLs. A deleted tenant's ID may be used again; its account never is.
type ID string

// ParseID returns s as an ID, or fault.InvalidID.
func ParseID(s string) (ID, error) {
	if _, err := broker.ParseToken(s); err != nil {
		return "", fault.New(fault.InvalidID, "A tenant's id is 1 to %d characters of A-Z a-z 0-9 _ and -.", broker.MaxTokenBytes)
	}
	return ID(s), nil
}
