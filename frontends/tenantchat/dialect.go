package tenantchat

import (
	"cmp"
	"context"
	"net/http"
	"sync"

	"parley/frontends/conversation"
	"parley/internal/fault"
	"parley/tenants"
)

// Config tunes a Dialect. The zero value is ready to use.
type Config struct {
	MessagesPerSecond int // that one connection may send. Defaults to 10.
	Connections       int // that one tenant may have open on this node. Defaults to 50. Negative means any number.
}

// Verifier proves who somebody is. It is called by many goroutines. The tenants' registry is one.
type Verifier interface {
	Verify(ctx context.Context, token string) (*tenants.Grant, error)
	VerifyAPIKey(text string) (*tenants.Grant, error)
}

// Dialect serves back ends that embed chat. Its methods are HTTP handlers, and return a fault for what they have not
// answered themselves.
type Dialect struct {
	cfg         Config
	desk        *conversation.Desk
	credentials Verifier

	mu   sync.Mutex
	open map[tenants.ID]int // guarded by mu; connections
}

// New returns the dialect over these parts, which stay the caller's.
func New(cfg Config, desk *conversation.Desk, credentials Verifier) *Dialect {
	cfg.MessagesPerSecond = cmp.Or(cfg.MessagesPerSecond, 10)
	cfg.Connections = cmp.Or(cfg.Connections, 50)
	return &Dialect{cfg: cfg, desk: desk, credentials: credentials, open: map[tenants.ID]int{}}
}

// Connect serves /ws/chat. credential is what the client presents, an API key or a token; refused says why there is none.
// Who may not come in learns so on the open connection.
func (d *Dialect) Connect(w http.ResponseWriter, r *http.Request, credential string, refused error) error {
	limits := conversation.Limits{FramesPerSecond: d.cfg.MessagesPerSecond, Burst: d.cfg.MessagesPerSecond, Sessions: 1}
	return d.desk.Serve(w, r, "tenantchat", limits, &client{dialect: d, claim: readClaim(r, credential, refused)})
}

// enter counts a connection of a tenant, unless there are too many; leave takes it off again.
func (d *Dialect) enter(t tenants.ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cfg.Connections >= 0 && d.open[t] >= d.cfg.Connections {
		return fault.New(fault.LimitExceeded, "The tenant has %d connections open, which is the limit", d.cfg.Connections).
			WithFix("Close connections that are not needed, then connect again.")
	}
	d.open[t]++
	return nil
}

func (d *Dialect) leave(t tenants.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[t]--; d.open[t] <= 0 {
		delete(d.open, t)
	}
}
