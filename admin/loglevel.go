package admin

import (
	"context"
	"net/http"
	"strings"
	"time"

	"parley/internal/fault"
	"parley/internal/loglevel"
)

// LogLevel is how much a node logs.
type LogLevel struct {
	Node       string    `json:"node"`           // that was asked: each has its own
	Level      string    `json:"level"`          // least severe level that is logged: debug, info, warn or error
	Configured string    `json:"configured"`     // what it is after a restart
	Until      time.Time `json:"until,omitzero"` // when it is as configured again. Absent means at the next restart.
}

// NewLogLevel says how long a node is to log more or less than it is configured to.
type NewLogLevel struct {
	ForSeconds int64 `json:"for_seconds,omitzero"` // after which it is as configured again. Absent means until the next restart.
}

// maxLogSeconds is 30 days: who wants it for longer changes the configuration.
const maxLogSeconds = 30 * 24 * 60 * 60

func (s *Server) logLevelRoutes() []route {
	return []route{
		{id: "getLogLevel", method: "GET", path: "/loglevel", handle: s.showLogLevel, says: "Show how much this node logs.", gives: answer(LogLevel{})},
		{id: "setLogLevel", method: "PUT", path: "/loglevel/{level}", handle: s.setLogLevel, says: "Have this node log more or less, for a while or until its next restart.", takes: NewLogLevel{}, gives: answer(LogLevel{})},
	}
}

func (s *Server) showLogLevel(w http.ResponseWriter, _ *http.Request) error {
	s.replyLogLevel(w, s.cfg.LogLevel.State())
	return nil
}

func (s *Server) setLogLevel(w http.ResponseWriter, r *http.Request) error {
	level, err := loglevel.Parse(r.PathValue("level"))
	if err != nil {
		return fault.Wrap(fault.InvalidFormat, err, "The log's level is one of %s.", strings.Join(loglevel.Names(), ", "))
	}
	body, err := read[NewLogLevel](w, r)
	if err != nil {
		return err
	}
	var until time.Time
	switch {
	case body.ForSeconds < 0 || body.ForSeconds > maxLogSeconds:
		return fault.New(fault.InvalidFormat, "for_seconds is a number up to %d, which is 30 days.", maxLogSeconds)
	case body.ForSeconds > 0:
		until = time.Now().Add(time.Duration(body.ForSeconds) * time.Second)
	}
	s.replyLogLevel(w, s.cfg.LogLevel.Set(level, until))
	return nil
}

func (s *Server) replyLogLevel(w http.ResponseWriter, state loglevel.State) {
	l := LogLevel{Node: s.cfg.Node, Level: loglevel.Name(state.Level), Configured: loglevel.Name(state.Configured)}
	if !state.Until.IsZero() {
		l.Until = state.Until.UTC().Truncate(time.Second)
	}
	s.reply(w, http.StatusOK, l)
}

// LogLevel returns how much the node logs.
func (c *Client) LogLevel(ctx context.Context) (LogLevel, error) {
	return call[LogLevel](ctx, c, "GET", "/loglevel", nil)
}

// SetLogLevel has the node log more or less.
func (c *Client) SetLogLevel(ctx context.Context, level string, spec NewLogLevel) (LogLevel, error) {
	return call[LogLevel](ctx, c, "PUT", path("loglevel", level), spec)
}
