package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"parley/broker"
	"parley/channels"
	"parley/internal/fault"
	"parley/internal/usage"
	"parley/sessions"
	"parley/tenants"
)

// Bounds on what anybody who reaches the listener may cost.
const (
	maxBodyBytes   = 256 << 10
	maxHeaderBytes = 16 << 10
	headerWithin   = 5 * time.Second
	bodyWithin     = 30 * time.Second
	idleWithin     = 2 * time.Minute
	drainWithin    = 10 * time.Second
)

// Config says what a Server tells of the process that it is part of. All fields are required.
type Config struct {
	Key   string       // the admin key
	Info  func() Info  // what runs, and where; the process is added
	Ready func() error // nil while clients, services and admins can be served
}

// Server is the admin API. Serve runs it; it is also an http.Handler.
type Server struct {
	cfg      Config
	keySum   [sha256.Size]byte
	registry *tenants.Registry
	engine   *broker.Engine
	hub      *channels.Hub
	talks    *sessions.Hub
	log      *slog.Logger
	routes   http.Handler
	draining chan struct{} // closed when Serve begins to end
}

// New returns the admin API over these parts, which stay the caller's.
func New(cfg Config, registry *tenants.Registry, engine *broker.Engine, hub *channels.Hub, talks *sessions.Hub, log *slog.Logger) (*Server, error) {
	if !ValidKey(cfg.Key) || cfg.Info == nil || cfg.Ready == nil {
		return nil, errors.New("the admin API needs a key and something to say")
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, keySum: sha256.Sum256([]byte(cfg.Key)), registry: registry, engine: engine, hub: hub, talks: talks,
		log: log, draining: make(chan struct{}),
	}
	s.routes = s.mux()
	return s, nil
}

// Serve answers on l, which it closes, until ctx ends. Then it ends the tails, waits for the other requests under way and
// returns.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerWithin,
		IdleTimeout:       idleWithin,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	close(s.draining)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
	defer cancel()
	err := server.Shutdown(drain)
	if err != nil {
		err = errors.Join(err, server.Close())
	}
	if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	s.routes.ServeHTTP(w, r)
}

// handler is one endpoint: it answers, or says why not.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *Server) mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	const t = "/admin/v1/tenants/{tenant}"
	for pattern, h := range map[string]handler{
		"GET /admin/v1/info":                         s.info,
		"GET /admin/v1/nodes":                        s.listNodes,
		"DELETE /admin/v1/nodes/{node}":              s.removeNode,
		"GET /admin/v1/tenants":                      s.listTenants,
		"POST /admin/v1/tenants":                     s.createTenant,
		"GET " + t:                                   s.showTenant,
		"PATCH " + t:                                 s.updateTenant,
		"DELETE " + t:                                s.deleteTenant,
		"POST " + t + "/suspend":                     s.suspendTenant,
		"POST " + t + "/resume":                      s.resumeTenant,
		"GET " + t + "/keys":                         s.listKeys,
		"POST " + t + "/keys":                        s.addKey,
		"DELETE " + t + "/keys/{kid}":                s.revokeKey,
		"GET " + t + "/apikeys":                      s.listAPIKeys,
		"POST " + t + "/apikeys":                     s.createAPIKey,
		"DELETE " + t + "/apikeys/{id}":              s.revokeAPIKey,
		"POST " + t + "/tokens":                      s.issueToken,
		"POST " + t + "/creds":                       s.issueCreds,
		"GET " + t + "/agents":                       s.listAgents,
		"GET " + t + "/agents/{agent}":               s.showAgent,
		"GET " + t + "/channels":                     s.listChannels,
		"POST " + t + "/channels/{channel}/messages": s.publish,
		"GET " + t + "/channels/{channel}/messages":  s.history,
		"GET " + t + "/channels/{channel}/tail":      s.tail,
		"GET " + t + "/deadletters":                  s.listDeadLetters,
		"POST " + t + "/deadletters/{number}/replay": s.replayDeadLetter,
		"DELETE " + t + "/deadletters/{number}":      s.dropDeadLetter,
		"GET " + t + "/queue":                        s.listWaiting,
		"GET " + t + "/sessions":                     s.listSessions,
		"GET " + t + "/sessions/{session}":           s.showSession,
		"GET " + t + "/sessions/{session}/messages":  s.listSaid,
		"GET " + t + "/sessions/{session}/tail":      s.tailSession,
		"POST " + t + "/sessions/{session}/{verb}":   s.orderSession,
		"POST /admin/v1/tokens/inspect":              s.inspectToken,
	} {
		mux.Handle(pattern, s.guard(h))
	}
	mux.Handle("/", s.guard(func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "There is no such endpoint.")
	}))
	return mux
}

// guard lets nobody through who does not bring the key, nor any browser: one that has it was tricked out of it.
func (s *Server) guard(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.admit(r); err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.refuse(w, r, err)
			return
		}
		if err := h(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

func (s *Server) admit(r *http.Request) error {
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		return fault.New(fault.PermissionDenied, "The admin API is not for browsers.")
	}
	const fix = "The key is in the file admin.key of the server's data directory; send it as Authorization: Bearer KEY."
	scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return fault.New(fault.AuthRequired, "The admin key is missing.").WithFix(fix)
	}
	// Sums of equal length, so that the comparison tells nothing about the key, not even how long it is.
	if sum := sha256.Sum256([]byte(strings.TrimSpace(key))); subtle.ConstantTimeCompare(sum[:], s.keySum[:]) != 1 {
		return fault.New(fault.AuthFailed, "The admin key is wrong.").WithFix(fix)
	}
	return nil
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	s.reply(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.draining:
		s.refuse(w, r, fault.New(fault.Draining, "The broker is shutting down."))
		return
	default:
	}
	if err := s.cfg.Ready(); err != nil {
		// Whoever asks may not be an admin: what lies behind the message stays in the log.
		s.log.Debug("Not ready.", "error", err)
		s.refuse(w, r, fault.Wrap(fault.Unavailable, err, "%s", fault.Message(err)))
		return
	}
	s.reply(w, http.StatusOK, map[string]string{"status": "ready"})
}

func (s *Server) info(w http.ResponseWriter, _ *http.Request) error {
	info := s.cfg.Info()
	if own, ok := usage.Own(); ok {
		info.Process = &Process{UserSeconds: own.User.Seconds(), SystemSeconds: own.System.Seconds(), RSS: own.RSS}
	}
	s.reply(w, http.StatusOK, info)
	return nil
}

// bodyFault says what is wrong with a body that could not be decoded.
func bodyFault(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fault.Wrap(fault.MessageTooLarge, err, "The request is longer than %d bytes.", tooLarge.Limit)
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok && semantic.JSONPointer != "" {
		return fault.Wrap(fault.InvalidFormat, err, "The request's member %q is unknown or not of the right type.", string(semantic.JSONPointer))
	}
	return fault.Wrap(fault.InvalidFormat, err, "The request is not a JSON object as this endpoint takes it.")
}
