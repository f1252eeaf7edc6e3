package admin

import (
	"context"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"parley/sessions"
)

// Sessions lists sessions of a tenant, the newest first, at most MaxSessions of them. "" as user means those of all.
func (c *Client) Sessions(ctx context.Context, tenant, user string, offset, limit int) (Sessions, error) {
	query := url.Values{"offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(limit)}}
	if user != "" {
		query.Set("user", user)
	}
	return call[Sessions](ctx, c, "GET", path("tenants", tenant, "sessions")+"?"+query.Encode(), nil)
}

// Queue lists the sessions that wait for a human, the longest waiting first.
func (c *Client) Queue(ctx context.Context, tenant string) ([]sessions.Overview, error) {
	all, err := call[Sessions](ctx, c, "GET", path("tenants", tenant, "queue"), nil)
	return all.Sessions, err
}

// Session returns what is known of a session.
func (c *Client) Session(ctx context.Context, tenant, id string) (sessions.Overview, error) {
	return call[sessions.Overview](ctx, c, "GET", path("tenants", tenant, "sessions", id), nil)
}

// Said lists what was said in a session, the oldest first, at most MaxSessions messages and answers.
func (c *Client) Said(ctx context.Context, tenant, id string, offset, limit int) (Said, error) {
	query := url.Values{"offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(limit)}}
	return call[Said](ctx, c, "GET", path("tenants", tenant, "sessions", id, "messages")+"?"+query.Encode(), nil)
}

// Reply says something in a session that the operator has claimed.
func (c *Client) Reply(ctx context.Context, tenant, id string, o Order) (Reply, error) {
	return call[Reply](ctx, c, "POST", path("tenants", tenant, "sessions", id, "reply"), o)
}

// Claim has the operator take a session over from the AI.
func (c *Client) Claim(ctx context.Context, tenant, id string, o Order) (sessions.Overview, error) {
	return c.order(ctx, tenant, id, "claim", o)
}

// Release hands a session back to the AI.
func (c *Client) Release(ctx context.Context, tenant, id string, o Order) (sessions.Overview, error) {
	return c.order(ctx, tenant, id, "release", o)
}

// Stop ends the answer that is being given, if one is.
func (c *Client) Stop(ctx context.Context, tenant, id string, o Order) (sessions.Overview, error) {
	return c.order(ctx, tenant, id, "stop", o)
}

// Escalate puts a session among those that wait for a human.
func (c *Client) Escalate(ctx context.Context, tenant, id string, o Order) (sessions.Overview, error) {
	return c.order(ctx, tenant, id, "escalate", o)
}

// CloseSession ends a session for good; its log stays.
func (c *Client) CloseSession(ctx context.Context, tenant, id string, o Order) (sessions.Overview, error) {
	return c.order(ctx, tenant, id, "close", o)
}

func (c *Client) order(ctx context.Context, tenant, id, verb string, o Order) (sessions.Overview, error) {
	return call[sessions.Overview](ctx, c, "POST", path("tenants", tenant, "sessions", id, verb), o)
}

// TailSession calls each with every event of a session from an index on, or from now on when that is 0, until ctx ends,
// each fails or the server ends it, which is nil.
func (c *Client) TailSession(ctx context.Context, tenant, id string, from uint64, each func(jsontext.Value) error) error {
	target := path("tenants", tenant, "sessions", id, "tail")
	if from > 0 {
		target += "?from=" + strconv.FormatUint(from, 10)
	}
	return c.follow(ctx, target, each)
}
