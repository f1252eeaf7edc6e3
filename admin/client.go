package admin

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/fault"
	"parley/tenants"
)

// Client talks to the admin API of one server. Errors are fault errors: what the server said, or fault.Unavailable when
// it can't be reached.
type Client struct {
	base   string
	key    string
	person string
	http   *http.Client
}

// NewClient returns a client for the server whose admin API is at baseURL.
func NewClient(baseURL, key string) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fault.New(fault.Usage, "The server %q is not a URL such as http://127.0.0.1:8081.", baseURL)
	}
	if !ValidKey(key) {
		return nil, fault.New(fault.Usage, "What was given as the admin key is none.").
			WithFix("Give the text that parley adminkey create has printed, or that of the file admin.key of the server's data directory.")
	}
	return &Client{base: strings.TrimSuffix(u.String(), "/"), key: key, http: &http.Client{
		// The key must not follow to wherever a redirect leads.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// As says who it is that makes the requests, for the audit log. It must be called before the first one.
func (c *Client) As(person string) { c.person = person }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Info returns what runs, and where.
func (c *Client) Info(ctx context.Context) (Info, error) {
	return call[Info](ctx, c, "GET", "/info", nil)
}

// Nodes lists the nodes of the cluster.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	all, err := call[Nodes](ctx, c, "GET", "/nodes", nil)
	return all.Nodes, err
}

// RemoveNode takes a dead node, given by name or id, out of the cluster for good.
func (c *Client) RemoveNode(ctx context.Context, node string) (Node, error) {
	return call[Node](ctx, c, "DELETE", path("nodes", node), nil)
}

// Tenants lists all tenants.
func (c *Client) Tenants(ctx context.Context) (all []tenants.Tenant, err error) {
	all = []tenants.Tenant{}
	err = c.EachTenants(ctx, func(page []tenants.Tenant) error {
		all = append(all, page...)
		return nil
	})
	return all, err
}

// EachTenants calls each with all tenants, some at a time, in the order of their ids, until it fails.
func (c *Client) EachTenants(ctx context.Context, each func([]tenants.Tenant) error) error {
	for after := ""; ; {
		page, err := call[Tenants](ctx, c, "GET", "/tenants?"+url.Values{"after": {after}}.Encode(), nil)
		if err != nil {
			return err
		}
		if err := each(page.Tenants); err != nil || !page.More {
			return err
		}
		after = string(page.Last)
	}
}

// CreateTenant makes a tenant, and reports whether it is new.
func (c *Client) CreateTenant(ctx context.Context, spec NewTenant) (t tenants.Tenant, created bool, err error) {
	return callMade[tenants.Tenant](ctx, c, "/tenants", spec)
}

// Tenant returns one tenant.
func (c *Client) Tenant(ctx context.Context, id string) (tenants.Tenant, error) {
	return call[tenants.Tenant](ctx, c, "GET", path("tenants", id), nil)
}

// UpdateTenant changes a tenant's name and limits.
func (c *Client) UpdateTenant(ctx context.Context, id string, change TenantChange) (tenants.Tenant, error) {
	return call[tenants.Tenant](ctx, c, "PATCH", path("tenants", id), change)
}

// SuspendTenant shuts a tenant.
func (c *Client) SuspendTenant(ctx context.Context, id string) (tenants.Tenant, error) {
	return call[tenants.Tenant](ctx, c, "POST", path("tenants", id, "suspend"), nil)
}

// ResumeTenant opens a tenant again.
func (c *Client) ResumeTenant(ctx context.Context, id string) (tenants.Tenant, error) {
	return call[tenants.Tenant](ctx, c, "POST", path("tenants", id, "resume"), nil)
}

// DeleteTenant removes a tenant with all its data.
func (c *Client) DeleteTenant(ctx context.Context, id string) error {
	_, err := call[struct{}](ctx, c, "DELETE", path("tenants", id), nil)
	return err
}

// Keys lists a tenant's keys.
func (c *Client) Keys(ctx context.Context, tenant string) ([]tenants.Key, error) {
	all, err := call[Keys](ctx, c, "GET", path("tenants", tenant, "keys"), nil)
	return all.Keys, err
}

// AddKey adds a key, and reports whether it is new.
func (c *Client) AddKey(ctx context.Context, tenant string, spec NewKey) (k tenants.Key, added bool, err error) {
	return callMade[tenants.Key](ctx, c, path("tenants", tenant, "keys"), spec)
}

// RotateKey puts a new key in the place of kid; "" means the one that signs.
func (c *Client) RotateKey(ctx context.Context, tenant, kid string, spec Rotation) (Rotated, error) {
	return call[Rotated](ctx, c, "POST", path("tenants", tenant, "keys", cmp.Or(kid, signingKey), "rotate"), spec)
}

// RevokeKey makes a key verify nothing any more.
func (c *Client) RevokeKey(ctx context.Context, tenant, kid string) (tenants.Key, error) {
	return call[tenants.Key](ctx, c, "DELETE", path("tenants", tenant, "keys", kid), nil)
}

// APIKeys lists a tenant's API keys.
func (c *Client) APIKeys(ctx context.Context, tenant string) ([]tenants.APIKey, error) {
	all, err := call[APIKeys](ctx, c, "GET", path("tenants", tenant, "apikeys"), nil)
	return all.APIKeys, err
}

// CreateAPIKey makes an API key.
func (c *Client) CreateAPIKey(ctx context.Context, tenant string, spec NewAPIKey) (MadeAPIKey, error) {
	return call[MadeAPIKey](ctx, c, "POST", path("tenants", tenant, "apikeys"), spec)
}

// RevokeAPIKey makes an API key good for nothing any more.
func (c *Client) RevokeAPIKey(ctx context.Context, tenant, id string) (tenants.APIKey, error) {
	return call[tenants.APIKey](ctx, c, "DELETE", path("tenants", tenant, "apikeys", id), nil)
}

// IssueToken signs a token.
func (c *Client) IssueToken(ctx context.Context, tenant string, spec NewToken) (string, error) {
	t, err := call[Token](ctx, c, "POST", path("tenants", tenant, "tokens"), spec)
	return t.Token, err
}

// InspectToken says what a token holds and why it is good or refused.
func (c *Client) InspectToken(ctx context.Context, token string) (tenants.Report, error) {
	return call[tenants.Report](ctx, c, "POST", "/tokens/inspect", Token{token})
}

// IssueCreds makes credentials for a service.
func (c *Client) IssueCreds(ctx context.Context, tenant string, spec NewCreds) (IssuedCreds, error) {
	return call[IssuedCreds](ctx, c, "POST", path("tenants", tenant, "creds"), spec)
}

// Creds lists the credentials of a tenant's services.
func (c *Client) Creds(ctx context.Context, tenant string) ([]tenants.Creds, error) {
	all, err := call[AllCreds](ctx, c, "GET", path("tenants", tenant, "creds"), nil)
	return all.Creds, err
}

// RevokeCreds cuts services off and refuses their credentials. It returns those that were meant.
func (c *Client) RevokeCreds(ctx context.Context, tenant string, which RevokeCreds) ([]tenants.Creds, error) {
	all, err := call[AllCreds](ctx, c, "POST", path("tenants", tenant, "creds", "revoke"), which)
	return all.Creds, err
}

// Revocations lists which tokens of a tenant are refused.
func (c *Client) Revocations(ctx context.Context, tenant string) ([]tenants.Revocation, error) {
	all, err := call[Revocations](ctx, c, "GET", path("tenants", tenant, "revocations"), nil)
	return all.Revocations, err
}

// RevokeTokens refuses tokens from now on.
func (c *Client) RevokeTokens(ctx context.Context, tenant string, spec NewRevocation) (tenants.Revocation, error) {
	return call[tenants.Revocation](ctx, c, "POST", path("tenants", tenant, "revocations"), spec)
}

// KickAgent closes the connections of an agent or a user.
func (c *Client) KickAgent(ctx context.Context, tenant, id string, spec Kick) (Kicked, error) {
	return call[Kicked](ctx, c, "POST", path("tenants", tenant, "agents", id, "kick"), spec)
}

// Agents lists who has been seen in a tenant.
func (c *Client) Agents(ctx context.Context, tenant string) ([]Agent, error) {
	all, err := call[Agents](ctx, c, "GET", path("tenants", tenant, "agents"), nil)
	return all.Agents, err
}

// Agent returns one of them.
func (c *Client) Agent(ctx context.Context, tenant, id string) (Agent, error) {
	return call[Agent](ctx, c, "GET", path("tenants", tenant, "agents", id), nil)
}

// Channels lists what holds messages in a tenant.
func (c *Client) Channels(ctx context.Context, tenant string) ([]Channel, error) {
	all, err := call[Channels](ctx, c, "GET", path("tenants", tenant, "channels"), nil)
	return all.Channels, err
}

// Publish stores a message; it is on disk when Publish returns.
func (c *Client) Publish(ctx context.Context, tenant, channel string, m NewMessage) (Receipt, error) {
	return call[Receipt](ctx, c, "POST", path("tenants", tenant, "channels", channel, "messages"), m)
}

// History returns messages of a channel behind since, a sequence or a time; with none, the newest.
func (c *Client) History(ctx context.Context, tenant, channel, since string, limit int) (Page, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if since != "" {
		query.Set("since", since)
	}
	return call[Page](ctx, c, "GET", path("tenants", tenant, "channels", channel, "messages")+"?"+query.Encode(), nil)
}

// Tail calls each with every message of a channel behind since, or from now on, until ctx ends, each fails or the
// server ends it, which is nil.
func (c *Client) Tail(ctx context.Context, tenant, channel, since string, each func(jsontext.Value) error) error {
	target := path("tenants", tenant, "channels", channel, "tail")
	if since != "" {
		target += "?" + url.Values{"since": {since}}.Encode()
	}
	return c.follow(ctx, target, each)
}

// follow calls each with every line of an answer that goes on until ctx ends, each fails or the server ends it, which is
// nil.
func (c *Client) follow(ctx context.Context, target string, each func(jsontext.Value) error) error {
	resp, err := c.send(ctx, "GET", target, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return problemOf(resp)
	}
	scan := bufio.NewScanner(resp.Body)
	scan.Buffer(nil, maxAnswerBytes)
	for scan.Scan() {
		if len(scan.Bytes()) == 0 {
			continue
		}
		if err := each(scan.Bytes()); err != nil {
			return err
		}
	}
	if err := scan.Err(); err != nil && ctx.Err() == nil {
		return fault.Wrap(fault.Unavailable, err, "The connection to the server broke.")
	}
	return ctx.Err()
}

// DeadLetters lists dead letters behind a number, at most limit of them.
func (c *Client) DeadLetters(ctx context.Context, tenant string, after uint64, limit int) (DeadLetters, error) {
	query := url.Values{"after": {strconv.FormatUint(after, 10)}, "limit": {strconv.Itoa(limit)}}
	return call[DeadLetters](ctx, c, "GET", path("tenants", tenant, "deadletters")+"?"+query.Encode(), nil)
}

// ReplayDeadLetter has a dead letter delivered once more to the receiver that did not take it, and takes it off the list.
func (c *Client) ReplayDeadLetter(ctx context.Context, tenant string, number uint64) error {
	_, err := call[struct{}](ctx, c, "POST", path("tenants", tenant, "deadletters", strconv.FormatUint(number, 10), "replay"), nil)
	return err
}

// DropDeadLetter takes a dead letter off the list.
func (c *Client) DropDeadLetter(ctx context.Context, tenant string, number uint64) error {
	_, err := call[struct{}](ctx, c, "DELETE", path("tenants", tenant, "deadletters", strconv.FormatUint(number, 10)), nil)
	return err
}

// maxAnswerBytes bounds what the client takes from a server.
const maxAnswerBytes = 16 << 20

const prefix = "/admin/v1"

func path(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString("/" + url.PathEscape(s))
	}
	return b.String()
}

// call makes one request. A body of nil sends none.
func call[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	v, _, err := exchange[T](ctx, c, method, path, body)
	return v, err
}

// callMade is call for what makes things, and reports whether the thing is new.
func callMade[T any](ctx context.Context, c *Client, path string, body any) (T, bool, error) {
	v, status, err := exchange[T](ctx, c, "POST", path, body)
	return v, status == http.StatusCreated, err
}

func exchange[T any](ctx context.Context, c *Client, method, path string, body any) (v T, status int, err error) {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return v, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return v, resp.StatusCode, problemOf(resp)
	}
	if resp.StatusCode == http.StatusNoContent {
		return v, resp.StatusCode, nil
	}
	if err := json.UnmarshalRead(io.LimitReader(resp.Body, maxAnswerBytes), &v); err != nil {
		return v, resp.StatusCode, fault.Wrap(fault.Unavailable, err, "The server's answer can't be read: is it parley's admin API?")
	}
	return v, resp.StatusCode, nil
}

func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fault.Wrap(fault.Usage, err, "The request can't be written: %s.", err)
		}
		content = bytes.NewReader(b)
	}
	return c.sendAs(ctx, method, path, "application/json", content)
}

// sendAs is send with a body of another kind; nil sends none.
func (c *Client) sendAs(ctx context.Context, method, path, kind string, content io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+prefix+path, content)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "The request can't be made: %s.", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if c.person != "" {
		req.Header.Set(PersonHeader, c.person)
	}
	if content != nil {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(ctx, c.base, err)
	}
	return resp, nil
}

func unreachable(ctx context.Context, base string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err // without the URL, which the message has
	}
	return fault.Wrap(fault.Unavailable, err, "The server can't be reached at %s.", base).
		WithFix("Is it running? Another one is named with --server URL, or --data DIR of its data directory.")
}

// problemOf reads a refusal.
func problemOf(resp *http.Response) error {
	var p Problem
	if err := json.UnmarshalRead(io.LimitReader(resp.Body, maxAnswerBytes), &p); err != nil || p.Code == "" {
		return fault.New(fault.Unavailable, "The server answered %s, which parley's admin API does not.", resp.Status)
	}
	e := fault.New(p.Code, "%s", p.Message)
	e.Fix = p.Fix
	return e
}
