package rooms

import (
	"parley/internal/fault"
	"parley/tenants"
)

// usualMost is how many participants a room of a tenant may have that has no limit of its own.
const usualMost = 100

// limit returns one of the tenant's limits as it is now, 0 for none.
func (s *space) limit(l tenants.Limit, byDefault int64) int {
	if s.quota != nil {
		return int(s.quota.Limit(l, byDefault))
	}
	return int(byDefault)
}

// exceeded counts a refusal, and returns it.
func (s *space) exceeded(l tenants.Limit, format string, args ...any) error {
	if s.quota != nil {
		return s.quota.Exceeded(l, format, args...)
	}
	return fault.New(fault.LimitExceeded, format+".", args...)
}

// roomForOne returns fault.LimitExceeded when the tenant has as many rooms as it may.
func (s *space) roomForOne() error {
	if most := s.limit(tenants.Rooms, 0); most > 0 && s.exist.Load() >= int64(most) {
		return s.exceeded(tenants.Rooms, "The tenant has its %d rooms already", most)
	}
	return nil
}

// placesFor returns fault.LimitExceeded when no room of the tenant may have so many participants.
func (s *space) placesFor(n int) error {
	if most := s.limit(tenants.Participants, usualMost); most > 0 && n > most {
		return s.exceeded(tenants.Participants, "The tenant's rooms have %d participants at most", most)
	}
	return nil
}
