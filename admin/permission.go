package admin

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"parley/admin/adminkey"
	"parley/internal/fault"
	"parley/internal/openapi"
	"parley/internal/tick"
	"parley/tenants"
)

// caller is who makes a request.
type caller struct {
	key    adminkey.Key // with which
	text   string       // of the key; empty for the one in the data directory, which nothing takes back
	person string       // see AuditEntry
}

// admit finds out who makes a request.
func (s *Server) admit(r *http.Request) (caller, error) {
	const fix = "Give one with --admin-key-file FILE or in $PARLEY_ADMIN_KEY, or over HTTP as Authorization: Bearer KEY: the one in the file admin.key of the server's data directory, or one that parley adminkey create has printed."
	text, err := bearer(r, fix)
	if err != nil {
		return caller{}, err
	}
	if s.rootKey.Fits(text) {
		return caller{key: adminkey.Key{Name: adminkey.Root, Role: adminkey.Full}, person: personOf(r)}, nil
	}
	key, err := s.cfg.Keys.Verify(r.Context(), text)
	if fault.CodeOf(err) == fault.AuthFailed {
		err = fault.Wrap(fault.AuthFailed, err, "The admin key is wrong.").WithFix("%s", fix)
	}
	return caller{key: key, text: text, person: personOf(r)}, err
}

// may returns nil when the key that somebody came with is good for a request, else fault.PermissionDenied.
func (c caller) may(rt route, r *http.Request) error {
	switch {
	case c.key.Role != adminkey.Full && (rt.changes() || rt.full):
		return fault.New(fault.PermissionDenied, "The admin key %s is %s.", c.key.Name, c.key.Role).
			WithFix("Somebody with a key of the role %s may do this.", adminkey.Full)
	case !rt.common && !c.key.GoodFor(rt.about(r)):
		names := make([]string, len(c.key.Tenants))
		for i, t := range c.key.Tenants {
			names[i] = string(t)
		}
		return fault.New(fault.PermissionDenied, "The admin key %s is only good for what concerns the tenants %s.", c.key.Name, strings.Join(names, ", ")).
			WithFix("Somebody with a key for the whole broker may do this.")
	}
	return nil
}

// about is the tenant that a request concerns and no other, "" when there is none. A query is believed only where it does
// not change anything.
func (r route) about(req *http.Request) tenants.ID {
	named := req.PathValue("tenant")
	if named == "" && r.method == http.MethodGet {
		named = req.URL.Query().Get("tenant")
	}
	return tenants.ID(named)
}

// keyAgain is how often it is asked whether a key is still good under which an answer goes on and on.
const keyAgain = time.Second

// serve answers a request of somebody who may make it. An answer that goes on ends soon after the key.
func (s *Server) serve(rt route, who caller, w http.ResponseWriter, r *http.Request) error {
	if !rt.goesOn() || who.text == "" {
		return rt.handle(w, r)
	}
	ctx, cancel := context.WithCancel(r.Context())
	var watch sync.WaitGroup
	watch.Go(func() { s.awaitEnd(ctx, who.text, cancel) })
	defer watch.Wait()
	defer cancel()
	return rt.handle(w, r.WithContext(ctx))
}

// awaitEnd calls end when a key is not good any more, unless ctx ends before.
func (s *Server) awaitEnd(ctx context.Context, key string, end func()) {
	for range tick.Every(ctx, keyAgain) {
		if _, err := s.cfg.Keys.Verify(ctx, key); fault.CodeOf(err) == fault.AuthFailed || fault.CodeOf(err) == fault.TokenExpired {
			end()
			return
		}
	}
}

// goesOn reports whether an answer has no end of its own, or may take long.
func (r route) goesOn() bool {
	for _, v := range r.gives {
		switch v.(type) {
		case openapi.Lines, openapi.Bytes:
			return true
		}
	}
	return false
}
