package tenants

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// A tenant is two things, a record here and an account in the engine, and a crash can come between any two steps. So
// every change of both writes down first what it is about to do:
//
//	create    record: creating    account made        record: active
//	suspend   record: suspending  account closed      record: suspended
//	resume    record: resuming    account opened      record: active
//	update    record: updating    account changed     record: active
//	delete    record: deleting    account erased      record removed
//	restore   record: restoring   account filled      record: active, or all of it removed
//
// The first write decides. Clients are refused from then on, or not let in before the last write. The step in the
// middle may be repeated any number of times, by any node: whoever meets a record in a state ending in -ing (at start,
// every minute, or before changing it) does the step and the last write again. What is restored is the business of the
// node that does it for as long as that one lives; then it is removed (restore.go).

// settle finishes the step that t is in and returns the tenant as it then is, with a revision of 0 when it was deleted.
// Several nodes may do so at once. As their steps may overtake each other, whoever loses the race for the last write
// applies what was written instead, until nothing has changed meanwhile.
func (r *Registry) settle(ctx context.Context, t Tenant) (Tenant, error) {
	for {
		failed := r.step(ctx, t)
		if failed == nil {
			next, err := r.finish(ctx, t)
			if err == nil {
				return next, r.sync()
			}
			if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
				return t, err
			}
		}
		current, err := r.read(ctx, t.ID)
		if failed != nil && err == nil && current.Revision == t.Revision { // nobody got in the way
			return t, failed
		}
		if fault.CodeOf(err) == fault.NotFound || err == nil && current.Account != t.Account {
			// It was deleted while this node was at work, which may have brought the account back.
			return Tenant{}, r.erase(ctx, t)
		}
		if err != nil {
			return t, err
		}
		t = current
	}
}

// step makes the engine what t's state says.
func (r *Registry) step(ctx context.Context, t Tenant) error {
	if r.abandoned(t) || t.State == Deleting && t.spare.Account != "" {
		if err := r.erase(ctx, Tenant{ID: t.ID, Account: t.spare.Account}); err != nil {
			return err
		}
	}
	if t.State == Deleting || t.State == Restoring {
		return r.erase(ctx, t)
	}
	if err := r.engine.PutAccount(ctx, t.account()); err != nil {
		return fmt.Errorf("put the account of tenant %s: %w", t.ID, err)
	}
	if t.aged && (t.State == Updating || t.State == Resuming) { // nothing else changes what streams there are
		if err := r.engine.ApplyHistoryAge(ctx, t.account()); err != nil {
			return fmt.Errorf("change the streams of tenant %s: %w", t.ID, err)
		}
	}
	return nil
}

func (r *Registry) erase(ctx context.Context, t Tenant) error {
	if err := r.engine.EraseAccount(ctx, t.Account); err != nil {
		return fmt.Errorf("erase the account of tenant %s: %w", t.ID, err)
	}
	return nil
}

// finish writes that t's step is done. For a settled t it only makes sure that t is still current.
func (r *Registry) finish(ctx context.Context, t Tenant) (Tenant, error) {
	abandoned := r.abandoned(t)
	if abandoned {
		t.spare = spare{}
	}
	switch t.State {
	case Deleting, Restoring:
		if err := r.bucket.Delete(ctx, string(t.ID), jetstream.LastRevision(t.Revision)); err != nil {
			return Tenant{}, stored(err)
		}
		return Tenant{}, r.erasePast(ctx, t.ID)
	case Creating, Resuming, Updating:
		t.State = Active
	case Suspending:
		t.State = Suspended
	default:
		if abandoned {
			break
		}
		current, err := r.read(ctx, t.ID)
		if err == nil && current.Revision != t.Revision {
			err = jetstream.ErrKeyRevisionMismatch
		}
		return current, err
	}
	return r.write(ctx, t)
}

// unfinished reports whether somebody has left a step of t that is to be done again.
func (r *Registry) unfinished(t Tenant) bool {
	return r.abandoned(t) || !t.State.settled() && t.State != Restoring
}

// abandoned reports whether t has a second account that nobody works on any more.
func (r *Registry) abandoned(t Tenant) bool {
	return t.spare.Account != "" && (t.spare.Node == "" || !r.engine.Alive(t.spare.Node))
}

// settleAll finishes all steps that somebody has left.
func (r *Registry) settleAll(ctx context.Context) {
	r.mu.RLock()
	var pending []Tenant
	for _, res := range r.residents {
		if r.unfinished(res.tenant) {
			pending = append(pending, res.tenant)
		}
	}
	r.mu.RUnlock()
	slices.SortFunc(pending, func(a, b Tenant) int { return int(a.Revision) - int(b.Revision) })
	for _, t := range pending {
		if _, err := r.settle(ctx, t); err != nil {
			r.log.Error("A tenant's change could not be finished; it will be tried again.", "tenant", t, "error", err)
		}
	}
}

// read returns a tenant as it is stored, whatever its state, or fault.NotFound.
func (r *Registry) read(ctx context.Context, id ID) (Tenant, error) {
	entry, err := r.bucket.Get(ctx, string(id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Tenant{}, notFound(id)
	}
	if err != nil {
		return Tenant{}, stored(err)
	}
	return decodeRecord(entry)
}

// write stores t in the place of the revision that it was made from. The error is or wraps
// jetstream.ErrKeyRevisionMismatch when there is a later one.
func (r *Registry) write(ctx context.Context, t Tenant) (Tenant, error) {
	full := t.past >= pastKept/2
	if t.past++; full {
		t.past = 0
	}
	b, err := encodeRecord(t)
	if err != nil {
		return t, err
	}
	t.Revision, err = r.bucket.Update(ctx, string(t.ID), b, t.Revision)
	if err == nil && full {
		return t, r.erasePast(ctx, t.ID)
	}
	return t, stored(err)
}

// sync makes what was written survive a power cut.
func (r *Registry) sync() error {
	if err := r.engine.Sync(); err != nil {
		return fault.Wrap(fault.OutcomeUnknown, err, "The change may not be on disk.")
	}
	return nil
}

// stored turns a failure of the bucket into one that an admin can act on. Lost races stay what they are.
func stored(err error) error {
	if err == nil || errors.Is(err, jetstream.ErrKeyRevisionMismatch) || errors.Is(err, jetstream.ErrKeyExists) {
		return err
	}
	return fault.Wrap(fault.OutcomeUnknown, err, "The registry of tenants did not answer; the change may or may not be stored.").
		WithFix("Repeat the command: doing twice what is done already is no error.")
}
