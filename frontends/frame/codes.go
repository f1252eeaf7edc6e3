package frame

import "parley/internal/fault"

// CodeOf is fault.CodeOf for dialects whose documents have one code for everybody who may not come in, and one for all that
// can be wrong with a frame.
func CodeOf(err error) fault.Code {
	switch code := fault.CodeOf(err); code {
	case fault.AuthRequired, fault.AuthFailed, fault.TokenExpired, fault.TenantSuspended:
		return fault.AuthFailed
	case fault.InvalidID, fault.ReservedType, fault.UnknownType:
		return fault.InvalidFormat
	default:
		return code
	}
}
