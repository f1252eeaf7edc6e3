package broker

import (
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// The server's codes for a store in which a tenant has no room left.
const (
	codeAccountFull jetstream.ErrorCode = 10002
	codeStoreFull   jetstream.ErrorCode = 10047
)

// Unwritten explains why a tenant's bucket could not be read or written: fault.StorageFull when the tenant has no room left, else
// fault.Unavailable in the words for that.
func Unwritten(err error, words string) error {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && (api.ErrorCode == codeAccountFull || api.ErrorCode == codeStoreFull) {
		return fault.Wrap(fault.StorageFull, err, "Nothing was stored: the tenant's storage is full.")
	}
	return fault.Wrap(fault.Unavailable, err, "%s", words)
}
