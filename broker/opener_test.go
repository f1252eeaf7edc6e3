package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"parley/internal/fault"
)

// everythingOfChannels is what a service of these tests may do.
func everythingOfChannels() CredsRequest {
	return CredsRequest{Name: "svc", Publish: []string{"channel.>"}, Subscribe: []string{"channel.>", "_INBOX.>"}}
}

// stored makes a number of accounts with so many messages each, and stops the engine.
func stored(t *testing.T, dir string, accounts, messages int) (ids []AccountID) {
	t.Helper()
	ctx := t.Context()
	e, err := Open(ctx, Config{DataDir: dir, Listen: ListenOff}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for i := range accounts {
		id := NewAccountID()
		ids = append(ids, id)
		if err := e.PutAccount(ctx, Account{ID: id, Name: fmt.Sprint("tenant", i)}); err != nil {
			t.Fatal(err)
		}
		c, err := e.Acquire(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Ensure(ctx, Channels); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Bucket(ctx, StateBucket); err != nil {
			t.Fatal(err)
		}
		for j := range messages {
			if _, err := c.JetStream().Publish(ctx, "channel.x", fmt.Appendf(nil, "%s before %d", id, j)); err != nil {
				t.Fatal(err)
			}
		}
		c.Release()
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// startUnopened starts an engine that does not wait for its accounts.
func startUnopened(t *testing.T, dir string) *Engine {
	t.Helper()
	return mustOpen(t, Config{DataDir: dir, Listen: "127.0.0.1:0", OpenWithin: -1})
}

// tell publishes as a service that has just connected, and expects that it is stored.
func tell(ctx context.Context, e *Engine, id AccountID, text string) error {
	creds, _, err := e.signCreds(id, everythingOfChannels()) // which opens nothing
	if err != nil {
		return err
	}
	nc, err := nats.Connect(e.ServicesURL(), nats.UserCredentialBytes(creds), nats.NoReconnect(), nats.Timeout(time.Minute))
	if err != nil && !errors.Is(err, nats.ErrAuthorization) && ctx.Err() == nil {
		return tell(ctx, e, id, text) // a server leaves clients two seconds to connect, which may be too few for a busy machine
	}
	if err != nil {
		return fmt.Errorf("connect to %s: %w", id, err)
	}
	defer nc.Close()
	answer, err := nc.RequestWithContext(ctx, "channel.x", []byte(text))
	if err != nil {
		return fmt.Errorf("publish to %s: %w", id, err)
	}
	var ack struct{ Stream string }
	if err := json.Unmarshal(answer.Data, &ack); err != nil || ack.Stream != string(Channels) {
		return fmt.Errorf("publish to %s: answer %s, %w", id, answer.Data, err)
	}
	return nil
}

// write publishes as the gateway does at its first use of an account, and expects that all was there from the start.
func write(ctx context.Context, e *Engine, id AccountID, text string, before int) error {
	c, err := e.Acquire(ctx, id)
	if err != nil {
		return fmt.Errorf("acquire %s: %w", id, err)
	}
	defer c.Release()
	if err := c.Ensure(ctx, Channels); err != nil {
		return err
	}
	if had, err := c.HasBucket(ctx, StateBucket); err != nil || !had {
		return fmt.Errorf("account %s has lost its bucket: %w", id, err)
	}
	if err := checkKept(ctx, c, before); err != nil {
		return err
	}
	_, err = c.JetStream().Publish(ctx, "channel.x", []byte(text))
	return err
}

// visit looks at an account over a connection of its own.
func visit(ctx context.Context, e *Engine, id AccountID, before int) error {
	c, leave, err := e.Visit(ctx, id)
	if err != nil {
		return fmt.Errorf("visit %s: %w", id, err)
	}
	defer leave()
	return checkKept(ctx, c, before)
}

func checkKept(ctx context.Context, c *Conn, before int) error {
	if first, last, err := c.Bounds(ctx, Channels); err != nil || first != 1 || last < uint64(before) {
		return fmt.Errorf("account %s has messages %d to %d, %w", c.id, first, last, err)
	}
	return nil
}

// texts returns all messages of an account, in order.
func texts(t *testing.T, e *Engine, id AccountID) (all []string) {
	t.Helper()
	msgs, more, err := mustAcquire(t, e, id).Read(t.Context(), ReadRequest{Stream: Channels, Subject: "channel.x", FromSeq: 1, Limit: 1000})
	if err != nil || more {
		t.Fatalf("read account %s: more %v, err %v", id, more, err)
	}
	for i, m := range msgs {
		if m.Seq != uint64(i+1) {
			t.Errorf("account %s: message %d has number %d", id, i+1, m.Seq)
		}
		all = append(all, string(m.Data))
	}
	return all
}

// TestFirstUsesAtTheSameMoment has services, the gateway and visitors come to each of many accounts at the moment of the
// start. Whoever comes finds all that was there, and nothing that any of them writes is lost.
func TestFirstUsesAtTheSameMoment(t *testing.T) {
	const accounts, before = 60, 5
	dir := t.TempDir()
	ids := stored(t, dir, accounts, before)
	e := startUnopened(t, dir)
	all, ctx := errgroup.WithContext(t.Context())
	all.SetLimit(24) // so many at a time, as each has to be connected within two seconds
	for _, id := range ids {
		for _, use := range []func() error{
			func() error { return tell(ctx, e, id, "service 1") },
			func() error { return tell(ctx, e, id, "service 2") },
			func() error { return write(ctx, e, id, "gateway", before) },
			func() error { return visit(ctx, e, id, before) },
		} {
			all.Go(use)
		}
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		got := texts(t, e, id)
		var want []string
		for i := range before {
			want = append(want, fmt.Sprintf("%s before %d", id, i))
		}
		if len(got) < before || !slices.Equal(got[:before], want) {
			t.Fatalf("account %s has %q, want %q first", id, got, want)
		}
		slices.Sort(got[before:])
		if later := []string{"gateway", "service 1", "service 2"}; !slices.Equal(got[before:], later) {
			t.Errorf("account %s has %q behind what it had before, want %q", id, got[before:], later)
		}
	}
	if left := e.opener.waiting(); len(left) > 0 {
		t.Errorf("%d accounts are not open", len(left))
	}
}

// TestChangesOfAccountsThatAreNotOpen suspends, resumes and erases accounts at the moment in which others connect to them for
// the first time since the start.
func TestChangesOfAccountsThatAreNotOpen(t *testing.T) {
	dir := t.TempDir()
	ids := stored(t, dir, 12, 1)
	e := startUnopened(t, dir)
	ctx := t.Context()
	var beside sync.WaitGroup
	for _, id := range ids {
		beside.Go(func() { _ = tell(ctx, e, id, "perhaps") })
	}
	if _, err := e.Holding(); err != nil {
		t.Error(err)
	}
	for i, id := range ids {
		if err := e.PutAccount(ctx, Account{ID: id, Name: fmt.Sprint("tenant", i), Suspended: true}); err != nil {
			t.Fatal(err)
		}
		account, err := e.server.LookupAccount(mustKey(t, e, id))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, func(context.Context) error { // what this process has closed, the server is about to notice
			if n := account.NumLocalConnections(); n != 0 {
				return fmt.Errorf("%d connections to a suspended account", n)
			}
			return nil
		})
	}
	beside.Wait()
	for i, id := range ids {
		if i%2 == 0 {
			if err := e.EraseAccount(ctx, id); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := e.PutAccount(ctx, Account{ID: id, Name: fmt.Sprint("tenant", i)}); err != nil {
			t.Fatal(err)
		}
		if got := texts(t, e, id); len(got) == 0 || got[0] != string(id)+" before 0" {
			t.Errorf("account %s has %q", id, got)
		}
	}
	for i, id := range ids {
		if name := findBytes(t, filepath.Join(dir, "jetstream"), string(id)+" before"); (name == "") != (i%2 == 0) {
			t.Errorf("account %d is stored in %q", i, name)
		}
	}
}

func mustKey(t *testing.T, e *Engine, id AccountID) string {
	t.Helper()
	key, err := e.id.accountKey(id)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestUnopenedAccountsAreCounted expects that what is stored is known before anybody has used it.
func TestUnopenedAccountsAreCounted(t *testing.T) {
	dir := t.TempDir()
	ids := stored(t, dir, 3, 100)
	e := startUnopened(t, dir)
	var all []Account
	for i, id := range ids {
		all = append(all, Account{ID: id, Name: fmt.Sprint("tenant", i)})
	}
	if err := e.Restore(t.Context(), all, false); err != nil {
		t.Fatal(err)
	}
	asFiles, err := e.opener.held()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		mustAcquire(t, e, id)
	}
	asStreams, err := e.Holding()
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range asFiles {
		if want := asStreams[name]; n < want || n > want+want/2 {
			t.Errorf("%s: files of %d bytes, streams of %d", name, n, want)
		}
	}
	for _, a := range all {
		if asStreams[a.Name] == 0 {
			t.Errorf("%s has nothing stored", a.Name)
		}
	}
}

// TestDamageFoundLater expects that an account whose stream can't be recovered is not used without it.
func TestDamageFoundLater(t *testing.T) {
	dir := t.TempDir()
	ids := stored(t, dir, 1, 1)
	metas, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "CHANNELS", "meta.inf"))
	if err != nil || len(metas) != 1 {
		t.Fatalf("metafiles: %v, %v", metas, err)
	}
	if err := os.WriteFile(metas[0], []byte(`{"name":"CHANNELS"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	e := startUnopened(t, dir)
	if err := write(t.Context(), e, ids[0], "x", 1); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("writing gives %v, want UNAVAILABLE", err)
	}
	if err := <-e.Failed(); !strings.Contains(err.Error(), "checksums do not match") {
		t.Errorf("the engine has failed with %v", err)
	}
}
