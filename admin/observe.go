package admin

import (
	"net/http"
	"net/http/pprof"

	"parley/internal/fault"
)

// observation adds the endpoints that tell how the process is doing: what it counts, for whoever has the metrics key, and
// profiles, for admins.
func (s *Server) observation(mux *http.ServeMux) {
	for path, h := range map[string]http.Handler{"/metrics": s.cfg.Metrics, "/metrics/tenants": s.cfg.TenantMetrics} {
		if h != nil {
			mux.Handle("GET "+path, s.scraped(h))
		}
	}
	const root = "/debug/pprof/"
	for path, h := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		mux.Handle("GET "+root+path, s.guard(route{method: http.MethodGet, full: true, handle: func(w http.ResponseWriter, r *http.Request) error {
			h(w, r)
			return nil
		}}))
	}
}

// scraped lets through who may see the metrics.
func (s *Server) scraped(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.admitScraper(r); err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.refuse(w, r, err)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// admitScraper lets through who brings the metrics key, which is good for nothing else, or an admin key for the whole broker.
func (s *Server) admitScraper(r *http.Request) error {
	key, err := bearer(r, "The key is in the file metrics.key of the server's data directory; send it as Authorization: Bearer KEY.")
	if err != nil {
		return err
	}
	if s.rootKey.Fits(key) || s.metricsKey.Fits(key) {
		return nil
	}
	named, err := s.cfg.Keys.Verify(r.Context(), key)
	switch {
	case fault.CodeOf(err) == fault.AuthFailed:
		return fault.Wrap(fault.AuthFailed, err, "The metrics key is wrong.")
	case err != nil:
		return err
	}
	return caller{key: named}.may(route{method: http.MethodGet}, r)
}
