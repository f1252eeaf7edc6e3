package admin

import (
	"testing"
	"time"

	"parley/internal/fault"
)

func TestLogLevel(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if l, err := w.LogLevel(ctx); err != nil || l != (LogLevel{Node: "here", Level: "info", Configured: "info"}) {
		t.Errorf("%+v, %v", l, err)
	}
	l, err := w.SetLogLevel(ctx, "debug", NewLogLevel{ForSeconds: 600})
	if left := time.Until(l.Until); err != nil || l.Level != "debug" || l.Configured != "info" || left > 10*time.Minute || left < 5*time.Minute {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := w.SetLogLevel(ctx, "error", NewLogLevel{}); err != nil || l.Level != "error" || !l.Until.IsZero() {
		t.Errorf("%+v, %v", l, err)
	}
	for _, level := range []string{"loud", "DEBUG", "info+1", "-4"} {
		_, err := w.SetLogLevel(ctx, level, NewLogLevel{})
		wantRefusal(t, err, fault.InvalidFormat, "The log's level is one of debug, info, warn, error.")
	}
	for _, seconds := range []int64{-1, maxLogSeconds + 1, 1 << 60} {
		_, err := w.SetLogLevel(ctx, "info", NewLogLevel{ForSeconds: seconds})
		wantRefusal(t, err, fault.InvalidFormat, "for_seconds is a number up to 2592000, which is 30 days.")
	}
	page, err := w.Audit(ctx, AuditQuery{Limit: 1})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].Operation != "setLogLevel" || page.Entries[0].Path != "/admin/v1/loglevel/debug" {
		t.Errorf("%+v, %v", page, err)
	}
}
