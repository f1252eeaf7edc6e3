// Package loglevel keeps how much a program logs, which may be changed while it runs, for a while or until its end.
package loglevel

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Names returns what the levels are called, the most talkative first.
func Names() []string { return []string{"debug", "info", "warn", "error"} }

// Name returns what a level is called.
func Name(l slog.Level) string { return strings.ToLower(l.String()) }

// Parse returns the level of that name. It takes none but those in Names.
func Parse(name string) (slog.Level, error) {
	for l := slog.LevelDebug; l <= slog.LevelError; l += 4 {
		if Name(l) == name {
			return l, nil
		}
	}
	return 0, fmt.Errorf("%q is none of the levels %s", name, strings.Join(Names(), ", "))
}

// State is how a Dial is set.
type State struct {
	Level      slog.Level // least severe level that is logged
	Configured slog.Level // what it is without Set
	Until      time.Time  // when it is Configured again. Zero means never.
}

// Dial is the level of a log. All methods may be called concurrently.
type Dial struct {
	level   slog.LevelVar
	turned  chan struct{} // holds a value when state has changed
	mu      sync.Mutex
	state   State // guarded by mu
	pending bool  // guarded by mu; the change has not been logged
}

var _ slog.Leveler = (*Dial)(nil)

// New returns a Dial that is set to the configured level.
func New(configured slog.Level) *Dial {
	d := &Dial{turned: make(chan struct{}, 1), state: State{Level: configured, Configured: configured}}
	d.level.Set(configured)
	return d
}

// Level implements slog.Leveler.
func (d *Dial) Level() slog.Level { return d.level.Level() }

// State returns how the dial is set.
func (d *Dial) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

// Set changes the level until that time, or for good when it is zero. Run must be running for the time to count.
func (d *Dial) Set(level slog.Level, until time.Time) State {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state.Level, d.state.Until, d.pending = level, until, true
	d.level.Set(level)
	select {
	case d.turned <- struct{}{}:
	default: // Run has not seen the one before
	}
	return d.state
}

// Run turns the dial back when its time has come, and logs every change, until ctx ends.
func (d *Dial) Run(ctx context.Context, log *slog.Logger) error {
	var due <-chan time.Time // nil while nothing is to be turned back
	for {
		if s, changed := d.settle(time.Now()); changed {
			about := []any{"level", Name(s.Level)}
			due = nil
			if !s.Until.IsZero() {
				about, due = append(about, "until", s.Until), time.After(time.Until(s.Until))
			}
			log.Warn("log level", about...)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.turned:
		case <-due:
		}
	}
}

// settle turns the dial back when its time has come, and returns how it is set and whether that is new.
func (d *Dial) settle(now time.Time) (s State, changed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.state.Until.IsZero() && !now.Before(d.state.Until) {
		d.state.Level, d.state.Until, d.pending = d.state.Configured, time.Time{}, true
		d.level.Set(d.state.Level)
	}
	changed, d.pending = d.pending, false
	return d.state, changed
}
