package broker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
)

// natsLog passes the server's log lines on to slog, and listens for the few that mean the store can't be trusted: the
// server itself only logs them and goes on.
type natsLog struct {
	log     *slog.Logger
	broken  func(error) // called for each line that means damage; must not block
	refused func()      // called when another node does not let this one in; must not block

	recoveries atomic.Int64 // that are under way; damage that only recovery reports counts meanwhile
}

// recover says that the server recovers streams, until done is called.
func (l *natsLog) recover() (done func()) {
	l.recoveries.Add(1)
	return func() { l.recoveries.Add(-1) }
}

func (l *natsLog) recovering() bool { return l.recoveries.Load() > 0 }

// Noticef logs at debug level: the server is chatty about what goes well.
func (l *natsLog) Noticef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Debugf logs at debug level.
func (l *natsLog) Debugf(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Tracef drops protocol traces: they would hold payloads.
func (l *natsLog) Tracef(string, ...any) {}

// Warnf logs a warning. While the server recovers its streams, a warning is all that a lost stream causes.
func (l *natsLog) Warnf(format string, v ...any) {
	if slices.Contains(v, any(errLater)) {
		return // there may be thousands of them
	}
	l.write(slog.LevelWarn, format, v)
	if l.recovering() && meansLostStream(format, v) {
		l.broken(fmt.Errorf("recover the store: %s", line(format, v)))
	}
}

// Errorf logs an error. A write error is final: the stream refuses all writes from then on.
func (l *natsLog) Errorf(format string, v ...any) {
	text := line(format, v)
	if strings.Contains(text, "maximum account active connections exceeded") {
		l.write(slog.LevelDebug, format, v) // how a suspended account's connections end
		return
	}
	l.write(slog.LevelError, format, v)
	if strings.Contains(text, "Route Error") && strings.Contains(text, "Authorization Violation") {
		l.refused()
	}
	if strings.Contains(text, "Critical write error") || l.recovering() && strings.Contains(text, "Failed restoring") {
		l.broken(fmt.Errorf("write to the store: %s", text))
	}
}

// Fatalf logs an error. The server goes on without the part that failed, so that it is our task to stop.
func (l *natsLog) Fatalf(format string, v ...any) {
	l.write(slog.LevelError, format, v)
	l.broken(fmt.Errorf("%s", line(format, v)))
}

func (l *natsLog) write(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "nats: "+line(format, v)) //nolint:sloglint // the words are the server's
	}
}

func line(format string, v []any) string { return strings.TrimSpace(fmt.Sprintf(format, v...)) }

// meansLostStream recognises the warnings after which a stream that has messages is left out. A missing metafile next to
// no messages is only a creation that a crash cut short.
func meansLostStream(format string, v []any) bool {
	for _, sign := range []string{"stream metafile", "Stream metafile", "stream checksum", "recreating stream"} {
		if !strings.Contains(format, sign) {
			continue
		}
		if strings.Contains(format, "Missing") && len(v) > 0 {
			blocks, _ := filepath.Glob(filepath.Join(filepath.Dir(fmt.Sprint(v[0])), "msgs", "*.blk"))
			return hasBytes(blocks)
		}
		return true
	}
	return false
}

func hasBytes(names []string) bool {
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.Size() > 0 {
			return true
		}
	}
	return false
}
