package bots

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"parley/frontends/conversation"
	"parley/quota"
	"parley/tenants"
)

// What counts while a tenant's limits say nothing else. The document has the addresses, and no rate.
const (
	messagesPerSecond = 20
	connectionsPerIP  = 100
)

// Config tunes a Dialect. The zero value is ready to use.
type Config struct {
	AuthWithin time.Duration // how long a client may take to say who it is. Defaults to 10s.
}

// Verifier proves who somebody is. It is called by many goroutines. The tenants' registry is one.
type Verifier interface {
	Verify(ctx context.Context, token string) (*tenants.Grant, error)
}

// Dialect serves bot sessions. Its methods are HTTP handlers.
type Dialect struct {
	cfg    Config
	desk   *conversation.Desk
	tokens Verifier
	terms  quota.Dialect
}

// New returns the dialect over these parts, which stay the caller's.
func New(cfg Config, desk *conversation.Desk, tokens Verifier) *Dialect {
	cfg.AuthWithin = cmp.Or(cfg.AuthWithin, 10*time.Second)
	terms := conversation.Terms("bots")
	terms.PerSecond, terms.PerIP = messagesPerSecond, connectionsPerIP
	return &Dialect{cfg: cfg, desk: desk, tokens: tokens, terms: terms}
}

// Connect serves /ws. token is what the client presents; refused says why there is none. Who presents nothing has to do so
// on the open connection, and who may not come in learns so there. It returns a fault for what is no WebSocket.
func (d *Dialect) Connect(w http.ResponseWriter, r *http.Request, token string, refused error) error {
	return d.desk.Serve(w, r, &d.terms, nil, d.newClient(token, refused))
}
