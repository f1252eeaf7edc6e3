package meet

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"parley/frontends/conversation"
	"parley/quota"
	"parley/rooms"
	"parley/tenants"
)

// What counts while a tenant's limits say nothing else. The document has the addresses, and no rate: who joins a large room
// has much to say at once.
const (
	messagesPerSecond = 100
	burst             = 5
	connectionsPerIP  = 100
)

// Config tunes a Dialect. The zero value is ready to use.
type Config struct {
	AuthWithin time.Duration // how long a client may take to say who it is. Defaults to 10s.
}

// Registry proves who somebody is, and makes room tokens. It is called by many goroutines. The tenants' registry is one.
type Registry interface {
	Verify(ctx context.Context, token string) (*tenants.Grant, error)
	IssueToken(ctx context.Context, spec tenants.TokenSpec) (string, error)
}

// Dialect serves meetings. Its methods are HTTP handlers.
type Dialect struct {
	cfg      Config
	desk     *conversation.Desk
	hub      *rooms.Hub
	registry Registry
	terms    quota.Dialect
}

// New returns the dialect over these parts, which stay the caller's.
func New(cfg Config, desk *conversation.Desk, hub *rooms.Hub, registry Registry) *Dialect {
	cfg.AuthWithin = cmp.Or(cfg.AuthWithin, 10*time.Second)
	terms := conversation.Terms("meet")
	terms.PerSecond, terms.Burst, terms.PerIP = messagesPerSecond, burst, connectionsPerIP
	return &Dialect{cfg: cfg, desk: desk, hub: hub, registry: registry, terms: terms}
}

// Connect serves /ws/meet. token is what the client presents; refused says why there is none. Who presents nothing has to
// do so on the open connection, and who may not come in learns so there. It returns a fault for what is no WebSocket.
func (d *Dialect) Connect(w http.ResponseWriter, r *http.Request, token string, refused error) error {
	return d.desk.Serve(w, r, &d.terms, nil, d.newClient(token, refused))
}
