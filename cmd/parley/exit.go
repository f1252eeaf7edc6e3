package main

import "parley/internal/fault"

// The exit statuses. Scripts may rely on them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3
	exitNotFound    = 4
	exitExists      = 5
	exitUnavailable = 6
)

const exitDoc = `0 done, 1 failed, 2 wrong usage or input, 3 refused (a bad key or token, a suspended tenant), 4 there is no such thing, 5 exists and differs, 6 not now: the server is away, full or busy.`

// exitStatus is this edge's table from codes to exit statuses.
func exitStatus(err error) int {
	switch fault.CodeOf(err) {
	case "":
		return exitOK
	case fault.Usage, fault.InvalidFormat, fault.UnknownType, fault.InvalidID, fault.ReservedType, fault.NoDestination, fault.MessageTooLarge, fault.MethodNotAllowed:
		return exitUsage
	case fault.AuthRequired, fault.AuthFailed, fault.TokenExpired, fault.PermissionDenied, fault.TenantSuspended:
		return exitRefused
	case fault.NotFound, fault.NotSubscribed, fault.Gone:
		return exitNotFound
	case fault.AlreadyExists, fault.SessionClosed, fault.OutOfOrder:
		return exitExists
	case fault.Unavailable, fault.Draining, fault.OutcomeUnknown, fault.NoWorker, fault.WorkerLost, fault.WorkerFailed, fault.StorageFull, fault.LimitExceeded, fault.RateLimited, fault.SlowConsumer:
		return exitUnavailable
	default:
		return exitFailed
	}
}
