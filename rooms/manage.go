package rooms

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"

	"parley/broker"
	"parley/internal/fault"
)

// maxParticipants is the most that a room may have: everybody is told of everybody.
const maxParticipants = 250

// Create makes a room, or returns the one that is there already: created tells which. A room that was made stays for
// Config.KeepEmpty while nobody is in it. It is on disk when Create returns. Errors are fault.InvalidID, InvalidFormat,
// AlreadyExists for one that differs, LimitExceeded and Unavailable.
func (h *Hub) Create(ctx context.Context, p Principal, spec Spec) (info Info, created bool, err error) {
	if err := checkName("name", spec.Name); err != nil {
		return info, false, err
	}
	if spec.Max < 0 || spec.Max == 1 || spec.Max > maxParticipants {
		return info, false, fault.New(fault.InvalidFormat, "A room is for 2 to %d participants.", maxParticipants)
	}
	if spec.ID == "" {
		spec.ID = uuid.Must(uuid.NewV7()).String()
	}
	id, err := broker.ParseToken(spec.ID)
	if err != nil {
		return info, false, err
	}
	s, err := h.spaces.Acquire(ctx, p.Account)
	if err != nil {
		return info, false, err
	}
	defer h.release(s)
	r := s.use(id)
	defer s.done(r)
	err = r.change(ctx, func(rec *record) error {
		info, created, err = r.declare(rec, spec)
		return err
	})
	if err != nil {
		return info, false, err
	}
	return info, created, h.engine.Sync()
}

// declare makes the room as it was asked for.
func (r *room) declare(rec *record, spec Spec) (info Info, created bool, err error) {
	if !rec.Created.IsZero() {
		if rec.Name != spec.Name || spec.Max != 0 && rec.Max != spec.Max {
			return info, false, fault.New(fault.AlreadyExists, "There is a room %q already, with another name or for another number of participants.", r.id)
		}
		if rec.Declared {
			return rec.info(r.id), false, errUnchanged
		}
	} else if err := r.space.roomForOne(); err != nil {
		return info, false, err
	} else {
		created = true
	}
	if err := r.space.placesFor(spec.Max); err != nil {
		return info, false, err
	}
	r.found(rec)
	rec.Name, rec.Declared = spec.Name, true
	if spec.Max != 0 {
		rec.Max = spec.Max
	}
	if len(rec.Members) == 0 {
		rec.Emptied = now()
	}
	return rec.info(r.id), created, nil
}

// List returns the tenant's rooms with who is in them, sorted by id, and how many there are. A limit of 0 means all.
func (h *Hub) List(ctx context.Context, p Principal, offset, limit int) ([]Info, int, error) {
	s, err := h.acquireKnown(ctx, p)
	if err != nil || s == nil {
		return nil, 0, err
	}
	defer h.release(s)
	var all []Info
	for _, r := range s.all() {
		if rec, _ := r.view(); !rec.void() {
			all = append(all, rec.info(r.id))
		}
	}
	slices.SortFunc(all, func(a, b Info) int { return strings.Compare(a.ID, b.ID) })
	total := len(all)
	all = all[min(max(offset, 0), total):]
	if limit > 0 {
		all = all[:min(limit, len(all))]
	}
	return all, total, nil
}

// Info returns one room. Errors are fault.InvalidID, NotFound and Unavailable.
func (h *Hub) Info(ctx context.Context, p Principal, id string) (info Info, err error) {
	err = h.inside(ctx, p, id, func(r *room) error {
		rec, _ := r.view()
		if rec.void() {
			return noRoom(r.id)
		}
		info = rec.info(r.id)
		return nil
	})
	return info, err
}

// Kick takes a participant out of a room. Errors are fault.InvalidID, NotFound (the room, or the participant) and
// Unavailable.
func (h *Hub) Kick(ctx context.Context, p Principal, id, participant string) error {
	return h.inside(ctx, p, id, func(r *room) error { return r.remove(ctx, participant, Kicked, "") })
}

// Close takes all participants out of a room, which is no more then. Errors are fault.InvalidID, NotFound and Unavailable.
func (h *Hub) Close(ctx context.Context, p Principal, id string) error {
	return h.inside(ctx, p, id, func(r *room) error {
		return r.change(ctx, func(rec *record) error {
			if rec.Created.IsZero() {
				return noRoom(r.id)
			}
			for len(rec.Members) > 0 {
				rec.remove(rec.Members[0].ID, Closed, "", now())
			}
			rec.Declared = false
			return nil
		})
	})
}

// Move takes a participant out of a room and puts it into another one, which is made if need be, under the same id. Its
// connection goes with it. Errors are fault.InvalidID; InvalidFormat when both rooms are the same; NotFound for a room, or
// the participant; LimitExceeded when the other room is full; and Unavailable.
func (h *Hub) Move(ctx context.Context, p Principal, id, participant, to string) error {
	target, err := broker.ParseToken(to)
	if err != nil {
		return err
	}
	if to == id {
		return fault.New(fault.InvalidFormat, "The participant is in this room already.")
	}
	return h.inside(ctx, p, id, func(r *room) error {
		rec, _ := r.view()
		m := rec.member(participant)
		if m == nil {
			return r.remove(ctx, participant, Moved, to) // says what is missing
		}
		other := r.space.use(target)
		defer r.space.done(other)
		if err := other.admit(ctx, *m); err != nil {
			return err
		}
		err := r.remove(ctx, participant, Moved, to)
		if err != nil {
			err = errors.Join(err, other.remove(ctx, participant, Left, ""))
		}
		return err
	})
}

// admit puts in somebody who comes from another room.
func (r *room) admit(ctx context.Context, m member) error {
	return r.change(ctx, func(rec *record) error {
		if rec.member(m.ID) != nil {
			return errUnchanged
		}
		m.Joined = now()
		return r.add(rec, m)
	})
}

// remove takes a participant out.
func (r *room) remove(ctx context.Context, participant string, why Reason, to string) error {
	return r.change(ctx, func(rec *record) error {
		switch {
		case rec.Created.IsZero():
			return noRoom(r.id)
		case rec.member(participant) == nil:
			return noParticipant(participant)
		}
		rec.remove(participant, why, to, now())
		return nil
	})
}

// inside calls f for a room that may exist.
func (h *Hub) inside(ctx context.Context, p Principal, id string, f func(*room) error) error {
	rid, err := broker.ParseToken(id)
	if err != nil {
		return err
	}
	s, err := h.acquireKnown(ctx, p)
	if err != nil {
		return err
	}
	if s == nil {
		return noRoom(rid)
	}
	defer h.release(s)
	r := s.use(rid)
	defer s.done(r)
	return f(r)
}

// acquireKnown returns the space of a tenant that has ever had rooms; nil of one that has not.
func (h *Hub) acquireKnown(ctx context.Context, p Principal) (*space, error) {
	if !h.spaces.Has(p.Account) {
		if known, err := h.known(ctx, p.Account); err != nil || !known {
			return nil, err
		}
	}
	return h.spaces.Acquire(ctx, p.Account)
}
