package sessions

import (
	"context"
	"slices"
	"strings"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

// Queue returns the sessions that wait for a human, the longest waiting first. Operators only.
func (h *Hub) Queue(ctx context.Context, p Principal) (waiting []Overview, err error) {
	if !p.Operator {
		return nil, fault.New(fault.PermissionDenied, "Only operators see who waits for them.")
	}
	s, err := h.spaces.Acquire(ctx, p.Account)
	if err != nil {
		return nil, err
	}
	keys, err := s.records.ListKeysFiltered(ctx, queuePrefix+"*")
	if err != nil {
		return nil, unreachable(err)
	}
	since, counted := map[string]string{}, map[string]time.Time{}
	var ids []string
	for key := range keys.Keys() {
		at, err := s.record(ctx, key)
		if err != nil {
			return nil, err
		}
		id := strings.TrimPrefix(key, queuePrefix)
		ids, since[id] = append(ids, id), string(at)
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(since[a], since[b]) })
	for _, id := range ids {
		info, err := s.info(ctx, broker.Token(id))
		if fault.CodeOf(err) == fault.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		o, err := s.overview(ctx, info)
		if err != nil {
			return nil, err
		}
		if o.State.Mode == Waiting {
			waiting = append(waiting, o)
			if counted[waitingKey(p.Account, broker.Token(id))], err = time.Parse(time.RFC3339Nano, since[id]); err != nil {
				return nil, err
			}
		}
	}
	h.waiting.mend(ctx, p.Account, counted)
	return waiting, nil
}
