package broker

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/internal/fault"
)

// jwtFile is where the account's JWT is kept.
func jwtFile(t *testing.T, e *Engine, a AccountID) string {
	t.Helper()
	key, err := e.id.accountKey(a)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(e.dir.accounts(), key+".jwt")
}

func TestRestoreMakesLostAccountsAgain(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(string) error{
		"missing": os.Remove,
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"garbage": func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("garbage ", 100)), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			before, err := Open(t.Context(), Config{DataDir: dir, Listen: ListenOff}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			id, other := mustAccount(t, before), mustAccount(t, before)
			path := jwtFile(t, before, id)
			c, err := before.Acquire(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Ensure(t.Context(), Channels); err != nil {
				t.Fatal(err)
			}
			if _, err := c.JetStream().Publish(t.Context(), "channel.a", []byte("precious")); err != nil {
				t.Fatal(err)
			}
			c.Release()
			if err := before.Close(); err != nil {
				t.Fatal(err)
			}
			if err := damage(path); err != nil {
				t.Fatal(err)
			}

			e := mustOpen(t, Config{DataDir: dir, Listen: ListenOff})
			if err := e.Restore(t.Context(), []Account{{ID: id, Name: "acme"}, {ID: other, Name: "other"}}, false); err != nil {
				t.Fatal(err)
			}
			c = mustAcquire(t, e, id)
			if err := c.Ensure(t.Context(), Channels); err != nil {
				t.Fatal(err)
			}
			if last, err := c.Last(t.Context(), Channels, ChannelSubject("a")); err != nil || last != 1 {
				t.Errorf("the last message is %d, %v", last, err)
			}
		})
	}
}

func TestRestoreRefusesAccountsThatNobodyKnows(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff})
	known, lost := mustAccount(t, e), mustAccount(t, e)
	err := e.Restore(t.Context(), []Account{{ID: known}}, false)
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(fault.Message(err), jwtFile(t, e, lost)) {
		t.Errorf("%v", err)
	}
	if err := e.EraseAccount(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	if err := e.Restore(t.Context(), []Account{{ID: known}}, false); err != nil {
		t.Errorf("after it was erased: %v", err)
	}
}
