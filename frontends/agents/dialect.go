package agents

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"parley/broker"
	"parley/channels"
	"parley/frontends/door"
	"parley/internal/fault"
	"parley/internal/rawjson"
	"parley/internal/trace"
	"parley/quota"
	"parley/tenants"
)

// Verifier checks a token that a client presents on an open connection.
type Verifier interface {
	Verify(ctx context.Context, token string) (*tenants.Grant, error)
}

// Dialect serves agents. Its methods are HTTP handlers behind authentication: they return a fault for what they have not
// answered themselves.
type Dialect struct {
	hub    *channels.Hub
	door   *door.Door
	terms  quota.Dialect
	tokens Verifier
	tracer *trace.Tracer // nil when nobody traces
	log    *slog.Logger

	life     context.Context // ends when the process does; publishes may wait until then
	unacked  atomic.Int64    // messages that were taken and not answered yet
	draining atomic.Bool
	rooms    sync.Pool // of *room
}

// room holds the members of a frame while it is carried out, so that frames cost no memory. A frame that has more members
// brings its own.
type room [16]rawjson.Member

// New returns the dialect over these parts, which stay the caller's. life bounds what connections wait for.
func New(life context.Context, hub *channels.Hub, in *door.Door, tokens Verifier, tracer *trace.Tracer, log *slog.Logger) *Dialect {
	return &Dialect{
		hub: hub, door: in, tokens: tokens, tracer: tracer, log: log, life: life,
		terms: quota.Dialect{Name: "agents", Subscriptions: maxSubscriptions},
		rooms: sync.Pool{New: func() any { return new(room) }},
	}
}

// Drain makes all connections refuse new messages with fault.Draining. Unacked tells when those that were taken have
// been answered.
func (d *Dialect) Drain() { d.draining.Store(true) }

// Unacked returns how many messages were taken and not answered yet.
func (d *Dialect) Unacked() int64 { return d.unacked.Load() }

// Connect serves /v1/ws: a connection for direct messages and, with channel_id in the query, for a channel.
func (d *Dialect) Connect(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	query := r.URL.Query()
	terms, err := readTerms(query)
	if err != nil {
		return err
	}
	if name := query.Get("channel_id"); name != "" {
		if terms.channel, err = broker.ParseName(name); err != nil {
			return err
		}
	}
	return d.accept(w, r, g, terms)
}

// ConnectPath serves /v1/ws/tenant/{tenant}/agent/{agent}/channel/{channel}, where all three must be what the token says.
func (d *Dialect) ConnectPath(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	if r.PathValue("tenant") != string(g.Tenant) || r.PathValue("agent") != string(g.Agent) {
		return fault.New(fault.PermissionDenied, "The token is not for this tenant and agent.").
			WithFix("Use the tenant_id and agent_id of the token in the path.")
	}
	terms, err := readTerms(r.URL.Query())
	if err != nil {
		return err
	}
	if terms.channel, err = broker.ParseName(r.PathValue("channel")); err != nil {
		return err
	}
	return d.accept(w, r, g, terms)
}
