package tenants

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
	"parley/internal/tick"
)

// How patient the registry is.
const (
	settleEvery = time.Minute     // between looks for steps that nobody has finished
	watchAgain  = time.Second     // before a watch that broke is taken up again
	seenWithin  = 5 * time.Second // until a change comes back through the watch
	loadWithin  = time.Minute     // until everything is read at the start
	loadAgain   = 100 * time.Millisecond
)

// Run keeps the registry up to date until ctx ends. It returns when all that it started has ended.
func (r *Registry) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	beside.Go(func() { r.settleRegularly(ctx) })
	beside.Go(func() { r.writeUses(ctx) })
	beside.Go(func() { r.conformAll(ctx) })
	defer beside.Wait()
	for {
		err := r.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errMissed) {
			continue
		}
		r.log.Warn("The watch on the tenants ended; it is taken up again.", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchAgain):
		}
	}
}

func (r *Registry) settleRegularly(ctx context.Context) {
	for range tick.Every(ctx, settleEvery) {
		r.settleAll(ctx)
		r.eraseGraves(ctx)
	}
}

// errMissed ends a watch that may have missed a change: a node of the cluster was lost.
var errMissed = errors.New("the watch may have missed a change")

// load reads the whole registry once. In a cluster it waits until this node's view has everything that was stored
// before: the copy that is read may lag behind.
func (r *Registry) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	for {
		if err := r.loadOnce(ctx); err != nil {
			return err
		}
		if !r.engine.Clustered() {
			return nil
		}
		status, err := r.bucket.Status(ctx) // answered by the leader
		if err != nil {
			return err
		}
		if s, ok := status.(*jetstream.KeyValueBucketStatus); !ok || s.StreamInfo().State.LastSeq <= r.seen {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("this node's copy lags behind: %w", ctx.Err())
		case <-time.After(loadAgain):
		}
	}
}

func (r *Registry) loadOnce(ctx context.Context) error {
	watch, err := r.begin(ctx)
	if err == nil {
		broker.EndWatch(watch)
	}
	return err
}

// begin reads everything. The watch, which the caller ends, goes on with what changes from then on.
func (r *Registry) begin(ctx context.Context) (jetstream.KeyWatcher, error) {
	watch, err := r.bucket.WatchAll(ctx)
	if err != nil {
		return nil, err
	}
	all, last, err := r.readAll(ctx, watch)
	if err != nil {
		broker.EndWatch(watch)
		return nil, err
	}
	r.replace(all, last)
	return watch, nil
}

// follow applies changes as they come, after reading everything once.
func (r *Registry) follow(ctx context.Context) error {
	losses, stop := r.engine.Losses()
	defer stop()
	watch, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer broker.EndWatch(watch)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-losses:
			return errMissed
		case entry, ok := <-watch.Updates():
			if !ok {
				return fmt.Errorf("the bucket's watch closed")
			}
			if entry != nil {
				r.apply(entry)
			}
		}
	}
}

// readAll reads a watch up to the mark that all that was there has been delivered. last is the newest revision of that.
func (r *Registry) readAll(ctx context.Context, watch jetstream.KeyWatcher) (all map[ID]Tenant, last uint64, err error) {
	all = map[ID]Tenant{}
	for {
		select {
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case entry, ok := <-watch.Updates():
			if ok && entry != nil {
				last = max(last, entry.Revision())
			}
			switch {
			case !ok:
				return nil, 0, fmt.Errorf("the bucket's watch closed")
			case entry == nil:
				return all, last, nil
			case entry.Key() == broker.SweptKey:
			case entry.Operation() != jetstream.KeyValuePut:
				delete(all, ID(entry.Key()))
				r.bury(entry)
			default:
				if t, err := decodeRecord(entry); err == nil {
					all[t.ID] = t
				} else {
					r.log.Error("A tenant's record is damaged; the tenant is left out.", "error", err)
				}
			}
		}
	}
}

// replace makes all, which was read up to the revision last, the content of the registry, telling the listeners what
// differs. What is known to be newer stays: the copy that was read may lag behind.
func (r *Registry) replace(all map[ID]Tenant, last uint64) {
	r.mu.RLock()
	gone := maps.Clone(r.residents)
	r.mu.RUnlock()
	for id, t := range all {
		delete(gone, id)
		r.put(t)
	}
	for id := range gone {
		r.remove(id, last)
	}
	r.advance(last)
}

func (r *Registry) apply(entry jetstream.KeyValueEntry) {
	defer r.advance(entry.Revision())
	if entry.Key() == broker.SweptKey {
		return
	}
	if entry.Operation() != jetstream.KeyValuePut {
		r.bury(entry) // before anybody finds the tenant gone
		r.remove(ID(entry.Key()), entry.Revision())
		return
	}
	t, err := decodeRecord(entry)
	if err != nil {
		r.log.Error("A tenant's record is damaged; the last good one stays.", "error", err)
		return
	}
	r.put(t)
}

// put makes t the current state of its tenant, unless a later one is known.
func (r *Registry) put(t Tenant) {
	r.mu.RLock()
	before, known := r.residents[t.ID]
	r.mu.RUnlock()
	if known && before.tenant.Revision >= t.Revision {
		return
	}
	var previous *keyring
	if before.tenant.Account == t.Account {
		previous = before.ring
	}
	r.engine.NoteAccount(t.account())
	res := resident{tenant: t, ring: newKeyring(t, previous, r.cfg, r.fetch, r.log), refused: newRefusals(t.Revocations)}
	r.publish(t, func() { r.residents[t.ID] = res })
	if known && t.State.settled() && r.engine.Clustered() {
		r.news.add(t.ID)
	}
}

// remove forgets a tenant, unless a later state than revision is known.
func (r *Registry) remove(id ID, revision uint64) {
	r.mu.RLock()
	before, known := r.residents[id]
	r.mu.RUnlock()
	if !known || before.tenant.Revision > revision {
		return
	}
	t := before.tenant
	t.State, t.Limits = Deleting, nil
	r.engine.NoteAccount(t.account())
	r.publish(t, func() { delete(r.residents, id) })
}

// advance says that everything up to revision is in the registry, and its listeners know.
func (r *Registry) advance(revision uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = max(r.seen, revision)
	close(r.changed)
	r.changed = make(chan struct{})
}

// publish makes a change visible and tells everybody. Only the goroutine that reads the watch calls it.
func (r *Registry) publish(t Tenant, change func()) {
	r.mu.Lock()
	change()
	listeners := make([]func(Tenant), 0, len(r.listeners))
	for _, f := range r.listeners {
		listeners = append(listeners, f)
	}
	r.mu.Unlock()
	for _, f := range listeners {
		f(t)
	}
}

// awaitRevision waits until this node has seen what was stored: a mutation's caller must find it in the registry.
func (r *Registry) awaitRevision(ctx context.Context, t Tenant) error {
	return r.await(ctx, func() bool { return r.seen >= t.Revision })
}

// awaitGone waits until this node has forgotten t, whoever may have its id by now.
func (r *Registry) awaitGone(ctx context.Context, t Tenant) error {
	return r.await(ctx, func() bool {
		res, known := r.residents[t.ID]
		return !known || res.tenant.Account != t.Account
	})
}

// await waits until reached, which is called with mu held for reading.
func (r *Registry) await(ctx context.Context, reached func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, seenWithin)
	defer cancel()
	for {
		r.mu.RLock()
		ok, changed := reached(), r.changed
		r.mu.RUnlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fault.Wrap(fault.OutcomeUnknown, ctx.Err(), "The change is stored, but this node has not seen it yet.").
				WithFix("Look whether it is there, or repeat the command.")
		}
	}
}
