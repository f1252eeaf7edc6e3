package tenants

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

const registryBucket = "tenants"

const (
	// pastKept is how many earlier records of a tenant the bucket keeps. What it drops by itself stays on the disk, so
	// that it must never come to that: erasePast overwrites them before.
	pastKept = 64
	// graveAge is how long the mark of a deleted tenant, which names it, is kept for the other nodes.
	graveAge = time.Minute
)

// erasePast overwrites what the disk still holds of a tenant's earlier records. They hold what its keys were made of.
func (r *Registry) erasePast(ctx context.Context, id ID) error {
	if err := r.engine.EraseRevisions(ctx, registryBucket, string(id), false); err != nil {
		return fault.Wrap(fault.OutcomeUnknown, err, "The change is stored, but what was there before could not be erased from the disk.").
			WithFix("Repeat the command.")
	}
	return nil
}

// dropped reports whether a tenant had secrets before that it has no more.
func dropped(before, after Tenant) bool {
	for _, k := range before.Keys {
		if now, ok := after.Key(k.Kid); k.material != nil && (!ok || now.material == nil) {
			return true
		}
	}
	for _, k := range before.APIKeys {
		if now, ok := after.APIKey(k.ID); k.Revoked.IsZero() && (!ok || !now.Revoked.IsZero()) {
			return true
		}
	}
	return false
}

// grave is the mark that a tenant was deleted, which is all that is left of it.
type grave struct {
	at       time.Time
	revision uint64
}

// bury notes the mark of a deleted tenant.
func (r *Registry) bury(entry jetstream.KeyValueEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.graves[ID(entry.Key())] = grave{entry.Created(), entry.Revision()}
}

// eraseGraves overwrites the marks of deleted tenants on the disk, once no other node needs them to learn of it. What fails
// is tried again.
func (r *Registry) eraseGraves(ctx context.Context) {
	r.mu.RLock()
	old := map[ID]grave{}
	for id, g := range r.graves {
		if !r.engine.Clustered() || r.cfg.Now().Sub(g.at) > graveAge {
			old[id] = g
		}
	}
	r.mu.RUnlock()
	for id, g := range old {
		if err := r.engine.EraseRevisions(ctx, registryBucket, string(id), true); err != nil {
			r.log.Warn("The mark of a deleted tenant could not be erased; it will be tried again.", "tenant", string(id), "error", err)
			continue
		}
		r.mu.Lock()
		if r.graves[id] == g {
			delete(r.graves, id)
		}
		r.mu.Unlock()
	}
}
