package tenantchat

import (
	"context"
	"net/http"

	"parley/frontends/conversation"
	"parley/quota"
	"parley/tenants"
)

// What the document limits, and a tenant's own limits may change.
const (
	messagesPerSecond = 10
	connections       = 50
)

// Verifier proves who somebody is. It is called by many goroutines. The tenants' registry is one.
type Verifier interface {
	Verify(ctx context.Context, token string) (*tenants.Grant, error)
	VerifyAPIKey(text string) (*tenants.Grant, error)
}

// Dialect serves back ends that embed chat. Its methods are HTTP handlers, and return a fault for what they have not
// answered themselves.
type Dialect struct {
	desk        *conversation.Desk
	credentials Verifier
	terms       quota.Dialect
}

// New returns the dialect over these parts, which stay the caller's.
func New(desk *conversation.Desk, credentials Verifier) *Dialect {
	return &Dialect{desk: desk, credentials: credentials, terms: quota.Dialect{
		Name: "tenantchat", Connections: connections, PerSecond: messagesPerSecond, Subscriptions: 1,
	}}
}

// Connect serves /ws/chat. credential is what the client presents, an API key or a token; refused says why there is none.
// Who may not come in learns so on the open connection.
func (d *Dialect) Connect(w http.ResponseWriter, r *http.Request, credential string, refused error) error {
	return d.desk.Serve(w, r, &d.terms, nil, &client{dialect: d, claim: readClaim(r, credential, refused)})
}
