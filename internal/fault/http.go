package fault

import "net/http"

// HTTPStatus is the one table from codes to HTTP, for every listener that answers with a fault.
func HTTPStatus(code Code) int {
	switch code {
	case InvalidFormat, UnknownType, InvalidID, ReservedType, NoDestination, Usage:
		return http.StatusBadRequest
	case AuthRequired, AuthFailed, TokenExpired:
		return http.StatusUnauthorized
	case PermissionDenied, TenantSuspended:
		return http.StatusForbidden
	case NotFound, NotSubscribed:
		return http.StatusNotFound
	case MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case UpgradeRequired:
		return http.StatusUpgradeRequired
	case AlreadyExists, SessionClosed, OutOfOrder:
		return http.StatusConflict
	case Gone:
		return http.StatusGone
	case MessageTooLarge:
		return http.StatusRequestEntityTooLarge
	case LimitExceeded, RateLimited:
		return http.StatusTooManyRequests
	case StorageFull:
		return http.StatusInsufficientStorage
	case NoWorker, WorkerLost, WorkerFailed, Unavailable, Draining, OutcomeUnknown, SlowConsumer:
		return http.StatusServiceUnavailable
	case Internal:
	}
	return http.StatusInternalServerError
}
