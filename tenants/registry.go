package tenants

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
)

// engine is what the registry needs of a broker.Engine. The calls may block; they stop when ctx ends.
type engine interface {
	Bucket(ctx context.Context, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error)
	PutAccount(ctx context.Context, a broker.Account) error
	ApplyHistoryAge(ctx context.Context, a broker.Account) error
	NoteAccount(a broker.Account) // never blocks
	ConformAccount(a broker.Account) error
	EraseAccount(ctx context.Context, a broker.AccountID) error
	Creds(ctx context.Context, a broker.AccountID, req broker.CredsRequest) (creds []byte, userKey string, err error)
	Restore(ctx context.Context, all []broker.Account, whole bool) error
	Node() broker.Token
	Alive(node broker.Token) bool
	Clustered() bool
	Sync() error
	Losses() (losses <-chan struct{}, stop func())
	EraseRevisions(ctx context.Context, bucket, key string, marker bool) error
}

var _ engine = (*broker.Engine)(nil)

// Registry holds all tenants. Reading it never blocks on the network. Mutations are stored, synced to disk and seen by
// this node when they return; other nodes see them moments later. They need Run to be running.
type Registry struct {
	cfg    Config
	engine engine
	bucket jetstream.KeyValue
	uses   *uses
	news   *news
	verify *verifier
	fetch  *fetcher
	log    *slog.Logger

	mu        sync.RWMutex
	residents map[ID]resident      // guarded by mu
	graves    map[ID]grave         // guarded by mu; deleted tenants whose ids are still on the disk
	seen      uint64               // guarded by mu; every change up to this revision is in residents
	changed   chan struct{}        // guarded by mu; closed whenever seen advances, and then replaced
	listeners map[int]func(Tenant) // guarded by mu
	nextID    int                  // guarded by mu; of listeners
}

// Open reads all tenants, sees to it that each has its account, and finishes what a crash has left half done. It fails
// with fault.Unavailable when accounts are there whose tenants are not: the registry has lost a part of itself. log may
// be nil.
func Open(ctx context.Context, e *broker.Engine, cfg Config, log *slog.Logger) (*Registry, error) {
	return open(ctx, e, cfg, log)
}

func open(ctx context.Context, e engine, cfg Config, log *slog.Logger) (*Registry, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Registry{
		cfg: cfg, engine: e, log: log, fetch: newFetcher(cfg), news: newNews(),
		residents: map[ID]resident{}, graves: map[ID]grave{}, changed: make(chan struct{}), listeners: map[int]func(Tenant){},
	}
	if r.verify, err = newVerifier(cfg, r.resident, log); err != nil {
		return nil, err
	}
	r.bucket, err = e.Bucket(ctx, jetstream.KeyValueConfig{
		Bucket: registryBucket, Description: "One record for each tenant.", History: pastKept, Storage: jetstream.FileStorage,
	})
	if err != nil {
		return nil, fmt.Errorf("open the registry of tenants: %w", err)
	}
	if r.uses, err = openUses(ctx, e); err != nil {
		return nil, err
	}
	if err := r.load(ctx); err != nil {
		return nil, fmt.Errorf("read the registry of tenants: %w", err)
	}
	// A node that was down while a tenant was deleted still has its account. That can be told from a registry that has
	// lost a part of itself only where other nodes have answered for it.
	whole := e.Clustered() && r.seen > 0
	if err := e.Restore(ctx, r.accounts(), whole); err != nil {
		return nil, err
	}
	r.settleAll(ctx)
	if err := r.load(ctx); err != nil {
		return nil, fmt.Errorf("read the registry of tenants: %w", err)
	}
	r.eraseGraves(ctx)
	return r, nil
}

// accounts are those of all tenants, in whatever state.
func (r *Registry) accounts() (all []broker.Account) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, res := range r.residents {
		all = append(all, res.tenant.account())
		if spare := res.tenant.spare.Account; spare != "" && spare != res.tenant.Account {
			all = append(all, broker.Account{ID: spare, Name: string(res.tenant.ID)})
		}
	}
	return all
}

// Get returns a tenant, or fault.NotFound.
func (r *Registry) Get(id ID) (Tenant, error) {
	res, ok := r.resident(id)
	if !ok {
		return Tenant{}, notFound(id)
	}
	return res.tenant, nil
}

// Of returns the tenant whose account it is, "" when there is none.
func (r *Registry) Of(account broker.AccountID) ID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for id, res := range r.residents {
		if res.tenant.Account == account {
			return id
		}
	}
	return ""
}

// List returns all tenants in the order of their ids.
func (r *Registry) List() []Tenant {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]Tenant, 0, len(r.residents))
	for _, res := range r.residents {
		if visible(res.tenant) {
			all = append(all, res.tenant)
		}
	}
	slices.SortFunc(all, func(a, b Tenant) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return all
}

// Verify returns what a token allows. Errors are fault.AuthRequired (there is none), AuthFailed (it proves nothing),
// TokenExpired or TenantSuspended. Whether the tenant exists can't be told from the answer.
func (r *Registry) Verify(ctx context.Context, token string) (*Grant, error) {
	return r.verify.verify(ctx, token)
}

// Explain verifies a token and says step by step how that went. It is for admins: the answer tells more than clients
// may know.
func (r *Registry) Explain(ctx context.Context, token string) Report {
	return r.verify.explain(ctx, token)
}

// Recheck reports whether a grant still holds: nil, or what Verify would answer now. It is cheap, for calling it on
// every open connection of a tenant that has changed.
func (r *Registry) Recheck(g *Grant) error {
	if !g.Expires.IsZero() && !r.cfg.Now().Before(g.Expires) {
		return fault.New(fault.TokenExpired, "The token expired.").WithFix("Get a new token.")
	}
	res, ok := r.resident(g.Tenant)
	if !ok || res.tenant.Account != g.Account {
		return unproven(fmt.Errorf("the tenant is gone"))
	}
	if res.tenant.Suspended() {
		return suspended(g.Tenant)
	}
	if g.APIKey != "" {
		if k, ok := res.tenant.APIKey(g.APIKey); !ok || !k.Live(r.cfg.Now()) {
			return badAPIKey(fmt.Errorf("API key %q is not live any more", g.APIKey))
		}
		return nil
	}
	if k, ok := res.tenant.Key(g.Kid); !ok || !k.Live(r.cfg.Now()) {
		return unproven(fmt.Errorf("key %q is not live any more", g.Kid))
	}
	return res.refused.check(g)
}

// IssueToken signs a token with a key of the tenant that the broker holds whole. Errors are fault.NotFound (no such
// tenant or key), TenantSuspended and InvalidFormat.
func (r *Registry) IssueToken(_ context.Context, spec TokenSpec) (string, error) {
	res, ok := r.resident(spec.Tenant)
	if !ok {
		return "", notFound(spec.Tenant)
	}
	if res.tenant.Suspended() {
		return "", suspended(spec.Tenant)
	}
	return issue(res, spec, r.cfg)
}

// Changes has f called with every tenant that changes from now on: created, changed, suspended, resumed, deleted
// (Tenant.Gone). The calls come from one goroutine, in order, after the change is visible in the registry; f must be
// quick and must not change tenants itself. After unregister, at most one more call that was under way arrives.
func (r *Registry) Changes(f func(Tenant)) (unregister func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.nextID
	r.nextID++
	r.listeners[id] = f
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.listeners, id)
	}
}

// resident returns a tenant that exists for the outside.
func (r *Registry) resident(id ID) (resident, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	res, ok := r.residents[id]
	if !ok || !visible(res.tenant) {
		return resident{}, false
	}
	return res, true
}

// visible reports whether anybody may know of t: it is made, and not being deleted.
func visible(t Tenant) bool { return t.State != Creating && t.State != Restoring && !t.Gone() }

func notFound(id ID) error {
	return fault.New(fault.NotFound, "There is no tenant %q.", string(id)).WithFix("See them all with: parley tenant list")
}
