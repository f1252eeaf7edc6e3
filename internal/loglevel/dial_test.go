package loglevel

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNames(t *testing.T) {
	for _, name := range Names() {
		if l, err := Parse(name); err != nil || Name(l) != name {
			t.Errorf("%s: %v, %v", name, l, err)
		}
	}
	for _, name := range []string{"", "DEBUG", "trace", "info+1", "0", " info"} {
		if _, err := Parse(name); err == nil {
			t.Errorf("%q is a level", name)
		}
	}
}

func TestTheDialIsTurnedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(slog.LevelInfo)
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: d}))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx, log) }()
		at := func(what string, want slog.Level) {
			t.Helper()
			synctest.Wait()
			if d.Level() != want || d.State().Level != want || log.Enabled(ctx, want-1) {
				t.Errorf("%s: %s, want %s", what, d.Level(), want)
			}
		}
		at("at first", slog.LevelInfo)
		d.Set(slog.LevelDebug, time.Now().Add(time.Minute))
		at("turned", slog.LevelDebug)
		<-time.After(59 * time.Second)
		at("just before", slog.LevelDebug)
		d.Set(slog.LevelError, time.Now().Add(time.Hour)) // the last word counts
		<-time.After(time.Minute)
		at("turned again", slog.LevelError)
		<-time.After(time.Hour)
		at("after its time", slog.LevelInfo)
		d.Set(slog.LevelWarn, time.Time{})
		<-time.After(1000 * time.Hour)
		at("for good", slog.LevelWarn)
		d.Set(slog.LevelDebug, time.Now().Add(-time.Second))
		at("for a time that is over", slog.LevelInfo)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := strings.Count(out.String(), `msg="log level"`); got != 4 { // all but the one in which only errors are logged
			t.Errorf("%d changes were logged:\n%s", got, out.String())
		}
	})
}
