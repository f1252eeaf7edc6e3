package assistant

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"parley/frontends/conversation"
	"parley/frontends/rest"
	"parley/quota"
	"parley/sessions"
	"parley/tenants"
)

// Config tunes a Dialect. The zero value is ready to use.
type Config struct {
	TokenLife  time.Duration // of an access token. Defaults to 5min.
	PingEvery  time.Duration // between two pings. Defaults to 30s.
	PongWithin time.Duration // a connection that does not answer one for so long is closed. Defaults to 60s.
}

func (c Config) withDefaults() Config {
	c.TokenLife = cmp.Or(c.TokenLife, 5*time.Minute)
	c.PingEvery = cmp.Or(c.PingEvery, 30*time.Second)
	c.PongWithin = cmp.Or(c.PongWithin, time.Minute)
	return c
}

// Exchanger makes access tokens of login tokens. It may be called concurrently. The tenants' registry is one, and its
// errors are what AccessToken returns.
type Exchanger interface {
	Exchange(ctx context.Context, login *tenants.Grant, ttl time.Duration) (token string, life time.Duration, err error)
}

// Dialect serves assistants' pages. Its methods are HTTP handlers behind authentication: they return a fault for what they
// have not answered themselves.
type Dialect struct {
	cfg      Config
	desk     *conversation.Desk
	tokens   Exchanger
	terms    quota.Dialect
	attended *attended
}

// New returns the dialect over these parts, which stay the caller's.
func New(cfg Config, desk *conversation.Desk, tokens Exchanger) *Dialect {
	return &Dialect{
		cfg: cfg.withDefaults(), desk: desk, tokens: tokens, terms: conversation.Terms("assistant"), attended: newAttended(),
	}
}

// AccessToken serves /websocket/get_access_token, with the grant of a login token.
func (d *Dialect) AccessToken(w http.ResponseWriter, r *http.Request, login *tenants.Grant) error {
	token, life, err := d.tokens.Exchange(r.Context(), login, d.cfg.TokenLife)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	rest.Reply(w, http.StatusOK, accessToken{token, int64(life / time.Second), "Bearer"})
	return nil
}

// Connect serves /websocket/ws. What the user's other conversations are answering while nobody looks is told to whoever
// connects; conversation_id in the query names conversations to follow at once.
func (d *Dialect) Connect(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	return d.desk.Serve(w, r, &d.terms, g, &client{
		dialect:   d,
		hub:       d.desk.Hub(),
		grant:     g,
		principal: sessions.Principal{Tenant: g.Tenant, Account: g.Account, User: string(g.Agent), Claims: g.Claims},
		page:      r.Header.Get("Origin") != "",
		wanted:    r.URL.Query()["conversation_id"],
		encoders:  map[string]*encoder{},
		named:     map[string]bool{},
	})
}
