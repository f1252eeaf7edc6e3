package chat

import (
	"context"
	"fmt"
	"net/http"

	"parley/broker"
	"parley/frontends/conversation"
	"parley/internal/fault"
	"parley/quota"
	"parley/sessions"
	"parley/tenants"
)

// Dialect serves chats. Its methods are HTTP handlers behind authentication: they return a fault for what they have not
// answered themselves.
type Dialect struct {
	desk  *conversation.Desk
	terms quota.Dialect
}

// New returns the dialect over a Desk.
func New(desk *conversation.Desk) *Dialect { return &Dialect{desk, conversation.Terms("chat")} }

// Connect serves /: a connection to the session that session_id in the query names, or to the user's own. Errors are
// fault.InvalidID, NotFound (the session is somebody else's) and those of an upgrade.
func (d *Dialect) Connect(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	p := sessions.Principal{Tenant: g.Tenant, Account: g.Account, User: string(g.Agent), Claims: g.Claims}
	session, err := d.session(r.Context(), p, r.URL.Query().Get("session_id"))
	if err != nil {
		return err
	}
	return d.desk.Serve(w, r, &d.terms, g, &client{hub: d.desk.Hub(), grant: g, principal: p, session: session})
}

// session returns the id of the session that is meant, which exists.
func (d *Dialect) session(ctx context.Context, p sessions.Principal, named string) (string, error) {
	if named == "" {
		return d.home(ctx, p)
	}
	if _, err := broker.ParseToken(named); err != nil {
		return "", err
	}
	_, _, err := d.desk.Hub().Create(ctx, p, sessions.Spec{ID: named})
	return named, err
}

// maxHomes bounds how often a user's own session can be closed and followed by another.
const maxHomes = 1000

// home returns the session that a user has when nobody names one. Closed ones are over, and another follows.
func (d *Dialect) home(ctx context.Context, p sessions.Principal) (string, error) {
	first := sessions.DefaultID(p.User)
	for n, id := 2, first; n < maxHomes; n, id = n+1, fmt.Sprintf("%s-%d", first, n) {
		_, created, err := d.desk.Hub().Create(ctx, p, sessions.Spec{ID: id})
		if err != nil || created {
			return id, err
		}
		now, err := d.desk.Hub().Info(ctx, p, id)
		if err != nil || !now.State.Closed {
			return id, err
		}
	}
	return "", fault.New(fault.LimitExceeded, "Too many sessions of the user were closed.").WithFix("Name one with session_id.")
}
