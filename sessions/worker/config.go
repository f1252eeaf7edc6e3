package worker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Config tunes a worker. Conns is required, everything else has a default.
type Config struct {
	Conns       []*nats.Conn          // one a tenant, made by Connect; the caller closes them after Run has returned
	Queue       string                // whose requests are taken. Defaults to "ai".
	Name        string                // what the worker is called in the log of a session. Defaults to "worker".
	Concurrency int                   // how many answers at a time, over all tenants. Defaults to 16.
	Continue    func(r *Request) bool // whether the Handler would go on after Request.Partial. Nil means that it begins anew.
	Log         *slog.Logger          // Nil means none. Never told what users or models say.
	Grace       time.Duration         // how long running answers may go on when the worker is to end. Defaults to 10s; negative means not at all.
	Coalesce    time.Duration         // how long a piece of text waits for more; the first one never does. Defaults to 25ms; negative means not at all.
	Traces      trace.TracerProvider  // where the spans of answers go. Nil means nowhere.
	Heartbeat   time.Duration         // after how much silence a session is told that the worker lives. Defaults to 3s.
	Patience    time.Duration         // how long a session may take to reply before it is told again. Defaults to 2s.
}

// queuePattern is the broker's grammar of ids.
var queuePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (c Config) withDefaults() Config {
	c.Queue = cmp.Or(c.Queue, "ai")
	c.Name = cmp.Or(c.Name, "worker")
	c.Concurrency = cmp.Or(c.Concurrency, 16)
	c.Grace = max(0, cmp.Or(c.Grace, 10*time.Second))
	c.Coalesce = max(0, cmp.Or(c.Coalesce, 25*time.Millisecond))
	c.Heartbeat = cmp.Or(c.Heartbeat, 3*time.Second)
	c.Patience = cmp.Or(c.Patience, 2*time.Second)
	if c.Continue == nil {
		c.Continue = func(*Request) bool { return false }
	}
	if c.Traces == nil {
		c.Traces = noop.NewTracerProvider()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	switch {
	case len(c.Conns) == 0 || slices.Contains(c.Conns, nil):
		return errors.New("a worker needs a connection a tenant")
	case !queuePattern.MatchString(c.Queue):
		return fmt.Errorf("%q is no name of a queue: 1 to 64 of A-Z a-z 0-9 _ and -", c.Queue)
	case c.Concurrency < 1 || c.Heartbeat <= 0 || c.Patience <= 0:
		return errors.New("concurrency, heartbeat and patience must be more than nothing")
	}
	return nil
}
