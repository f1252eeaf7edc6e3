package rooms

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// errUnchanged is what a change returns that has nothing to do.
var errUnchanged = errors.New("nothing to do")

// change has f rewrite the room's record, which is void but never nil, and returns when everybody here knows. f is called
// again when somebody else was quicker, so it must depend on its argument only. An error of f leaves the room as it is.
func (r *room) change(ctx context.Context, f func(*record) error) error {
	select {
	case r.writing <- struct{}{}:
	case <-ctx.Done():
		return unreachable(ctx.Err())
	}
	defer func() { <-r.writing }()
	before, rev := r.view()
	fresh := !r.space.hub.engine.Clustered() // nobody else writes
	for {
		after := before.clone()
		if after.void() {
			after = before.successor()
		}
		err := f(after)
		switch {
		case errors.Is(err, errUnchanged):
			return nil
		case err != nil && fresh:
			return err
		case err == nil:
			var now uint64
			if now, err = r.put(ctx, after, rev); err == nil {
				r.apply(after, now)
				r.announce(before, after)
				return nil
			}
			if !lostRace(err) {
				return unreachable(err)
			}
		}
		// What f has seen may be old.
		if before, rev, err = r.load(ctx); err != nil {
			return unreachable(err)
		}
		fresh = true
	}
}

// successor is the record of a room that begins anew where there was one before, or none.
func (r *record) successor() *record {
	next := &record{}
	if r != nil {
		next.Came = r.Came
	}
	return next
}

// put writes the record in the place of the revision that it was made from, 0 for none.
func (r *room) put(ctx context.Context, rec *record, rev uint64) (now uint64, err error) {
	value := rec.encode()
	err = r.space.conn.Insist(ctx, func(ctx context.Context) error {
		if rev == 0 {
			now, err = r.space.kv.Create(ctx, string(r.id), value)
		} else {
			now, err = r.space.kv.Update(ctx, string(r.id), value, rev)
		}
		return err
	})
	return now, err
}

func lostRace(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// load reads the record.
func (r *room) load(ctx context.Context) (rec *record, rev uint64, err error) {
	var entry jetstream.KeyValueEntry
	err = r.space.conn.Insist(ctx, func(ctx context.Context) (err error) {
		entry, err = r.space.kv.Get(ctx, string(r.id))
		return err
	})
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return nil, 0, nil
	case err != nil:
		return nil, 0, err
	}
	rec, err = decodeRecord(entry.Value())
	return rec, entry.Revision(), err
}

// voidTicks is how long the record of a room that is no more is kept, so that all nodes see why the last ones have left.
const voidTicks = 6

// overdue reports whether a room without participants is to be forgotten. mu is held.
func (r *room) overdue(now time.Time, tick uint32) bool {
	switch {
	case r.rec.Declared:
		return now.Sub(r.rec.Emptied) >= r.space.hub.cfg.KeepEmpty
	case r.void == 0:
		r.void = max(tick, 1)
		return false
	}
	return tick-r.void >= voidTicks
}

// tidy takes out the participants of nodes that are dead for too long, and forgets the room if nobody needs it any more.
func (r *room) tidy(ctx context.Context, now time.Time) {
	defer r.space.done(r.space.use(r.id))
	err := r.change(ctx, func(rec *record) error {
		var ghosts []string
		for i := range rec.Members {
			if m := &rec.Members[i]; m.Node != r.node() && r.space.expired(m.Node, now) {
				ghosts = append(ghosts, m.ID)
			}
		}
		for _, id := range ghosts {
			rec.remove(id, Timeout, "", now)
		}
		stale := rec.Declared && len(rec.Members) == 0 && now.Sub(rec.Emptied) >= r.space.hub.cfg.KeepEmpty
		if stale {
			rec.Declared = false
		}
		if len(ghosts) == 0 && !stale {
			return errUnchanged
		}
		return nil
	})
	if err == nil {
		err = r.forget(ctx)
	}
	if err != nil && ctx.Err() == nil {
		r.space.hub.log.Warn("a room could not be tidied up; it will be tried again", "room", r.id, "err", err)
	}
}

// forget erases the record of a room that is no more.
func (r *room) forget(ctx context.Context) error {
	rec, rev := r.view()
	if rec == nil || !rec.void() {
		return nil
	}
	r.mu.Lock()
	due := r.overdue(time.Now(), r.space.tick.Load())
	r.mu.Unlock()
	if !due {
		return nil
	}
	err := r.space.kv.Purge(ctx, string(r.id), jetstream.LastRevision(rev), jetstream.PurgeTTL(markerTTL))
	if err != nil && !lostRace(err) {
		return err
	}
	if err == nil {
		r.apply(nil, rev+1) // at least; what others write has a higher one
	}
	return nil
}

// markerTTL is how long the bucket remembers that a room was erased, for the other nodes.
const markerTTL = time.Minute

// noParticipant says that somebody is not in the room.
func noParticipant(id string) error {
	return fault.New(fault.NotFound, "There is no participant %.64q in the room.", id)
}
