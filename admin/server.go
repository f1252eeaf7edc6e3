package admin

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"parley/admin/adminkey"
	"parley/broker"
	"parley/channels"
	"parley/internal/fault"
	"parley/internal/hashedkey"
	"parley/internal/loglevel"
	"parley/internal/usage"
	"parley/rooms"
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

// Config says what a Server tells of the process that it is part of. The fields up to Ready are required.
type Config struct {
	Key      string          // the admin key of the data directory
	Keys     *adminkey.Store // the named ones
	Node     string          // name of this node, for the audit log
	Journal  Journal         // where the audit log is
	Info     func() Info     // what runs, and where; the process is added
	LogLevel *loglevel.Dial  // of this node's log
	Ready    func() error    // nil while clients, services and admins can be served

	Observer      Observer     // what tenants use. Nil means that nobody can ask.
	MetricsKey    string       // opens the metrics and nothing else. Empty means that there is none.
	Metrics       http.Handler // what concerns the whole broker. Nil means that it is not shown.
	TenantMetrics http.Handler // what is counted for each tenant. Nil means that it is not shown.

	Spool string // directory in which backups wait that are being restored. Defaults to the one for temporary files.
}

// Server is the admin API. Serve runs it; it is also an http.Handler.
type Server struct {
	cfg        Config
	rootKey    hashedkey.Sum // of Config.Key
	metricsKey hashedkey.Sum // of Config.Key where there is no metrics key
	registry   *tenants.Registry
	engine     *broker.Engine
	hub        *channels.Hub
	talks      *sessions.Hub
	meetings   *rooms.Hub
	log        *slog.Logger
	routes     http.Handler
	draining   chan struct{} // closed when Serve begins to end
}

// New returns the admin API over these parts, which stay the caller's.
func New(cfg Config, registry *tenants.Registry, engine *broker.Engine, hub *channels.Hub, talks *sessions.Hub, meetings *rooms.Hub, log *slog.Logger) (*Server, error) {
	if !ValidKey(cfg.Key) || cfg.Keys == nil || cfg.LogLevel == nil || cfg.Journal == nil || cfg.Info == nil || cfg.Ready == nil {
		return nil, errors.New("the admin API needs a key and something to say")
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, rootKey: hashedkey.Of(cfg.Key), metricsKey: hashedkey.Of(cmp.Or(cfg.MetricsKey, cfg.Key)), registry: registry, engine: engine, hub: hub, talks: talks, meetings: meetings,
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
	s.observation(mux)
	for _, r := range s.table() {
		mux.Handle(r.method+" "+prefix+r.path, s.guard(r))
	}
	mux.Handle("/", s.guard(route{method: http.MethodGet, common: true, handle: func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "There is no such endpoint.")
	}}))
	return mux
}

// guard lets nobody through who does not bring a key that is good for the route, nor any browser: one that has a key was
// tricked out of it.
func (s *Server) guard(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := s.admit(r)
		if err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.refuse(w, r, err)
			return
		}
		if rt.recorded() {
			err = s.record(rt, who, w, r)
		} else if err = who.may(rt, r); err == nil {
			err = s.serve(rt, who, w, r)
		}
		if _, begun := errors.AsType[cutOffError](err); begun {
			panic(http.ErrAbortHandler) // the only way to tell the client that the answer is not whole
		}
		if err != nil {
			s.refuse(w, r, err)
		}
	})
}

// bearer returns the key that a request brings.
func bearer(r *http.Request, fix string) (string, error) {
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		return "", fault.New(fault.PermissionDenied, "The admin API is not for browsers.")
	}
	scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", fault.New(fault.AuthRequired, "The admin key is missing.").WithFix("%s", fix)
	}
	return strings.TrimSpace(key), nil
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
