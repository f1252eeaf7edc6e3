package frontends

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"parley/frontends/bots"
	"parley/frontends/door"
	"parley/frontends/meet"
	"parley/frontends/page"
	"parley/frontends/rest"
	"parley/internal/fault"
	"parley/internal/origin"
	"parley/quota"
	"parley/tenants"
)

// handler serves a request of somebody known. It returns a fault for what it has not answered itself.
type handler func(http.ResponseWriter, *http.Request, *tenants.Grant) error

// verbs are the methods of one path.
type verbs map[string]handler

// The query parameters in which the dialects' clients present their tokens.
const (
	inToken       = "token"
	inAccessToken = "access_token"
	inAPIKey      = "api_key"
	inHeader      = "" // nowhere but in the header
)

func (e *Edge) routes() http.Handler { return identified(e.mux()) }

// serve has a path answered, and notes what is there for the description's test.
func (e *Edge) serve(mux *http.ServeMux, path string, v verbs, h http.HandlerFunc) {
	e.served[path] = v
	mux.HandleFunc(path, h)
}

func (e *Edge) mux() *http.ServeMux {
	mux := http.NewServeMux()
	e.served = map[string]verbs{}
	for path, v := range map[string]verbs{
		"/v1/ws": {http.MethodGet: e.agents.Connect},
		"/v1/ws/tenant/{tenant}/agent/{agent}/channel/{channel}": {http.MethodGet: e.agents.ConnectPath},
		"/v1/agents":                      {http.MethodGet: e.agents.Agents},
		"/v1/agents/{agent}":              {http.MethodGet: e.agents.Agent},
		"/v1/channels/{channel}/messages": {http.MethodGet: e.agents.Messages, http.MethodPost: e.agents.Publish},
	} {
		e.serve(mux, path, v, e.guarded(v, e.holder(inToken)))
	}
	exchange := verbs{http.MethodGet: e.assistant.AccessToken}
	e.serve(mux, "/websocket/get_access_token", exchange, e.guarded(exchange, e.loginHolder))
	mux.HandleFunc("/websocket/ws", e.guarded(verbs{http.MethodGet: e.assistant.Connect}, e.holder(inAccessToken)))
	mux.HandleFunc("/{$}", e.root(e.guarded(verbs{http.MethodGet: e.chat.Connect}, e.holder(inToken))))
	e.tenantChatRoutes(mux)
	e.botRoutes(mux)
	e.meetRoutes(mux)
	if e.cfg.MeetPage {
		mux.Handle("GET /meet", page.Meet())
	}
	mux.HandleFunc("GET /openapi.json", description())
	mux.HandleFunc("/", e.nothing)
	return mux
}

// tenantChatRoutes serve back ends that embed chat, whose API key names their tenant.
func (e *Edge) tenantChatRoutes(mux *http.ServeMux) {
	mux.HandleFunc("/ws/chat", e.introduced(inAPIKey, e.tenantchat.Connect))
	for path, v := range map[string]verbs{
		"/api/v1/chats":             {http.MethodPost: e.tenantchat.Create},
		"/api/v1/chats/{$}":         {http.MethodPost: e.tenantchat.Create},
		"/api/v1/chats/{id}":        {http.MethodGet: e.tenantchat.Chat, http.MethodDelete: e.tenantchat.Delete},
		"/api/v1/chats/{id}/stop":   {http.MethodPost: e.tenantchat.Stop, http.MethodGet: e.tenantchat.Below},
		"/api/v1/chats/{id}/{rest}": {http.MethodGet: e.tenantchat.Below},
	} {
		e.serve(mux, path, v, e.guarded(v, e.keyHolder(inAPIKey)))
	}
}

// botRoutes serve bot sessions. Everything under /api that is nobody's is refused in their form.
func (e *Edge) botRoutes(mux *http.ServeMux) {
	mux.HandleFunc("/ws", e.introduced(inToken, e.bots.Connect))
	for path, v := range map[string]verbs{
		"/api/sessions":           {http.MethodGet: e.bots.List, http.MethodPost: e.bots.Create},
		"/api/sessions/{id}":      {http.MethodGet: e.bots.Session, http.MethodDelete: e.bots.Close},
		"/api/sessions/{id}/stop": {http.MethodPost: e.bots.Stop},
	} {
		e.serve(mux, path, v, e.answered(v, e.keyHolder(inToken), e.refuseAsBots))
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) { bots.NoEndpoint(w) })
}

// meetRoutes serve meetings.
func (e *Edge) meetRoutes(mux *http.ServeMux) {
	mux.HandleFunc("/ws/meet", e.introduced(inToken, e.meet.Connect))
	room, people := verbs{http.MethodPost: e.meet.Create}, verbs{http.MethodGet: e.meet.Participants}
	e.serve(mux, "/api/meet/rooms", room, e.answered(room, e.keyHolder(inToken), e.refuseAsMeet))
	e.serve(mux, "/api/meet/rooms/{id}/participants", people, e.answered(people, e.guestHolder(inToken), e.refuseAsMeet))
}

func (e *Edge) nothing(w http.ResponseWriter, r *http.Request) {
	e.refuse(w, r, fault.New(fault.NotFound, "There is no such endpoint."))
}

// root tells apart who asks for the root: WebSocket clients, and whoever brings a token, want a chat; people want the page.
func (e *Edge) root(chat http.HandlerFunc) http.HandlerFunc {
	var people http.Handler = http.HandlerFunc(e.nothing)
	if e.cfg.ChatPage {
		people = page.Chat()
	}
	return func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		if reads && r.Header.Get("Upgrade") == "" && r.Header.Get("Authorization") == "" {
			people.ServeHTTP(w, r)
			return
		}
		chat(w, r)
	}
}

// identify finds out who sends a request, and takes the proof off it.
type identify func(*http.Request) (*tenants.Grant, error)

// guarded lets requests of somebody known through to the handler of their method.
func (e *Edge) guarded(v verbs, who identify) http.HandlerFunc { return e.answered(v, who, e.refuse) }

// answered is guarded with a refusal of its own.
func (e *Edge) answered(v verbs, who identify, refuse func(http.ResponseWriter, *http.Request, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		allowOrigins(w.Header())
		if r.Method == http.MethodOptions {
			v.preflight(w)
			return
		}
		h, ok := v[r.Method]
		if !ok {
			w.Header().Set("Allow", v.allowed())
			refuse(w, r, fault.New(fault.MethodNotAllowed, "The endpoint does not take %s.", r.Method))
			return
		}
		g, err := who(r)
		if err == nil && g != nil { // else the dialect says on the open connection who may come in
			if err = e.admitOrigin(w.Header(), r, g); err == nil {
				err = e.measure(w, r, g)
			}
		}
		if err == nil {
			err = h(w, r, g)
		}
		if err != nil {
			refuse(w, r, err)
		}
	}
}

// measure counts a request among its tenant's messages, and bounds its body as it would a message.
func (e *Edge) measure(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	t := e.book.Tenant(g.Tenant)
	r.Body = body{http.MaxBytesReader(w, r.Body, int64(t.MessageBytes())), t}
	return t.Request(r.ContentLength)
}

// body is that of a request, which the tenant's limit bounds.
type body struct {
	io.ReadCloser
	tenant *quota.Tenant
}

// Read counts a body that is too long. Whoever reads it answers.
func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		_ = b.tenant.TooLong(n, int(tooBig.Limit))
	}
	return n, err
}

// holder identifies whoever holds an access token. parameter is where in the query it may stand.
func (e *Edge) holder(parameter string) identify {
	return func(r *http.Request) (*tenants.Grant, error) {
		g, err := e.verify(r, parameter)
		return g, accessOnly(g, err)
	}
}

// accessOnly refuses a login token, or one for a room, that was found to be good.
func accessOnly(g *tenants.Grant, err error) error {
	if err == nil {
		err = g.CheckAccess()
	}
	return err
}

// loginHolder identifies whoever holds a login token, which is good for nothing but being exchanged.
func (e *Edge) loginHolder(r *http.Request) (*tenants.Grant, error) { return e.verify(r, inHeader) }

func (e *Edge) verify(r *http.Request, parameter string) (*tenants.Grant, error) {
	token, err := takeToken(r, parameter)
	if err != nil {
		return nil, err
	}
	return e.registry.Verify(r.Context(), token)
}

// keyHolder identifies whoever holds an API key, or an access token in its place.
func (e *Edge) keyHolder(parameter string) identify { return e.keyOr(parameter, accessOnly) }

// guestHolder is keyHolder for what the holder of a room token may ask for, too.
func (e *Edge) guestHolder(parameter string) identify {
	return e.keyOr(parameter, func(g *tenants.Grant, err error) error {
		if err == nil && g.Guest {
			return nil
		}
		return accessOnly(g, err)
	})
}

// keyOr identifies whoever holds an API key, or a token that allowed lets through.
func (e *Edge) keyOr(parameter string, allowed func(*tenants.Grant, error) error) identify {
	return func(r *http.Request) (*tenants.Grant, error) {
		credential, err := takeToken(r, parameter, apiKeyHeader)
		switch {
		case err != nil:
			return nil, err
		case tenants.IsAPIKey(credential):
			return e.registry.VerifyAPIKey(credential)
		}
		g, err := e.registry.Verify(r.Context(), credential)
		return g, allowed(g, err)
	}
}

// introduced serves a dialect that refuses on the open connection: it gets what the client presents, or why that is
// nothing.
func (e *Edge) introduced(parameter string, connect func(http.ResponseWriter, *http.Request, string, error) error) http.HandlerFunc {
	anybody := func(*http.Request) (*tenants.Grant, error) { return nil, nil }
	return e.guarded(verbs{http.MethodGet: func(w http.ResponseWriter, r *http.Request, _ *tenants.Grant) error {
		credential, err := takeToken(r, parameter, apiKeyHeader)
		return connect(w, r, credential, err)
	}}, anybody)
}

func (v verbs) allowed() string {
	methods := []string{http.MethodOptions}
	for m := range v {
		methods = append(methods, m)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// admitOrigin refuses pages of origins that the tenant does not allow, and keeps them from reading so.
func (e *Edge) admitOrigin(h http.Header, r *http.Request, g *tenants.Grant) error {
	t, err := e.registry.Get(g.Tenant)
	if err != nil || len(t.Origins) == 0 {
		return err
	}
	h.Set("Vary", "Origin")
	h.Del(allowOrigin)
	of := origin.Of(r.Header)
	if err := origin.Check(of, t.Origins); err != nil {
		return err
	}
	if of != "" {
		h.Set(allowOrigin, of)
	}
	return nil
}

const allowOrigin = "Access-Control-Allow-Origin"

// allowOrigins lets pages of any origin read the answers, as long as no tenant is known that says otherwise: no cookie
// authenticates anything here, so that a page can do no more than who wrote it could do alone.
func allowOrigins(h http.Header) { h.Set(allowOrigin, "*") }

func (v verbs) preflight(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", v.allowed())
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-API-Key, X-User-ID, X-Chat-ID")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// retryAfter is what clients are told that come at a bad moment, in seconds.
const retryAfter = "1"

// refuse answers a request that was not carried out.
func (e *Edge) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e.note(w.Header(), r, err)
	code := fault.CodeOf(err)
	rest.Reply(w, fault.HTTPStatus(code), rest.Problem{Code: code, Message: fault.Message(err), Fix: fault.Fix(err)})
}

// refuseAsBots is refuse in the form of the bots' dialect.
func (e *Edge) refuseAsBots(w http.ResponseWriter, r *http.Request, err error) {
	e.note(w.Header(), r, err)
	bots.Refuse(w, err)
}

// refuseAsMeet is refuse in the form of the meetings' dialect.
func (e *Edge) refuseAsMeet(w http.ResponseWriter, r *http.Request, err error) {
	e.note(w.Header(), r, err)
	meet.Refuse(w, err)
}

// note sets the headers that belong to a refusal, and logs what nobody has foreseen.
func (e *Edge) note(h http.Header, r *http.Request, err error) {
	code := fault.CodeOf(err)
	e.countRefusal(r, code)
	if code == fault.Internal {
		e.log.Error("a request could not be carried out", "request", h.Get(door.RequestID), "method", r.Method, "path", r.URL.Path, "err", err)
	}
	switch fault.HTTPStatus(code) {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="parley"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter)
	}
}
