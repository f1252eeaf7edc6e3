package broker

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"parley/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustOpen(t *testing.T, cfg Config) *Engine {
	t.Helper()
	e, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("Open: %v (fix: %s)", err, fault.Fix(err))
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return e
}

func mustAccount(t *testing.T, e *Engine) AccountID {
	t.Helper()
	id := NewAccountID()
	if err := e.PutAccount(t.Context(), Account{ID: id, Name: "acme"}); err != nil {
		t.Fatalf("PutAccount: %v", err)
	}
	return id
}

func mustAcquire(t *testing.T, e *Engine, id AccountID) *Conn {
	t.Helper()
	c, err := e.Acquire(t.Context(), id)
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	t.Cleanup(c.Release)
	return c
}

func connectService(t *testing.T, e *Engine, id AccountID, req CredsRequest) *nats.Conn {
	t.Helper()
	creds, _, err := e.Creds(t.Context(), id, req)
	if err != nil {
		t.Fatalf("Creds: %v", err)
	}
	nc, err := nats.Connect(e.ServicesURL(), nats.UserCredentialBytes(creds), nats.NoReconnect())
	if err != nil {
		t.Fatalf("connect with the creds: %v", err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestMessagesSurviveRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := t.Context()
	e, err := Open(ctx, Config{DataDir: dir, Listen: ListenOff}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	id := mustAccount(t, e)
	c, err := e.Acquire(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ensure(ctx, Channels); err != nil {
		t.Fatal(err)
	}
	subject := ChannelSubject("news.today")
	for _, text := range []string{"one", "two", "three"} {
		if _, err := c.JetStream().Publish(ctx, string(subject), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Sync(); err != nil {
		t.Fatal(err)
	}
	c.Release()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	e = mustOpen(t, Config{DataDir: dir, Listen: ListenOff})
	c = mustAcquire(t, e, id)
	msgs, more, err := c.Read(ctx, ReadRequest{Stream: Channels, Subject: subject, FromSeq: 2, Limit: 1})
	if err != nil || len(msgs) != 1 || string(msgs[0].Data) != "two" || msgs[0].Seq != 2 || !more {
		t.Fatalf("Read = %v, more %v, err %v; want the second message and more behind it", msgs, more, err)
	}
	if last, err := c.Last(ctx, Channels, subject); err != nil || last != 3 {
		t.Fatalf("Last = %d, %v; want 3", last, err)
	}
	if last, err := c.Last(ctx, Channels, ChannelSubject("other")); err != nil || last != 0 {
		t.Fatalf("Last of an unused channel = %d, %v; want 0", last, err)
	}
	if first, last, err := c.Bounds(ctx, Channels); err != nil || first != 1 || last != 3 {
		t.Fatalf("Bounds = %d, %d, %v; want 1, 3", first, last, err)
	}
}

func TestTenantsAreSeparate(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0"})
	acme, evil := mustAccount(t, e), mustAccount(t, e)
	everything := CredsRequest{Name: "svc", Publish: []string{"channel.>", "agent.>"}, Subscribe: []string{"channel.>", "agent.>", "_INBOX.>"}}
	good := connectService(t, e, acme, everything)
	spy := connectService(t, e, evil, everything)
	seen, err := spy.SubscribeSync("channel.>")
	if err != nil {
		t.Fatal(err)
	}
	own, err := good.SubscribeSync("channel.x")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(spy.Flush(), good.Publish("channel.x", []byte("secret")), good.Flush()); err != nil {
		t.Fatal(err)
	}
	if _, err := own.NextMsgWithContext(t.Context()); err != nil {
		t.Fatalf("own tenant: %v", err)
	}
	// A message of the spy's own, sent after the secret had arrived elsewhere, must be the first that it sees.
	if err := spy.Publish("channel.mark", nil); err != nil {
		t.Fatal(err)
	}
	m, err := seen.NextMsgWithContext(t.Context())
	if err != nil || m.Subject != "channel.mark" {
		t.Fatalf("the other tenant saw %v, %v", m, err)
	}
}

func TestServicesReachOnlyWhatTheyWereGranted(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0"})
	id := mustAccount(t, e)
	c := mustAcquire(t, e, id)
	if err := c.Ensure(t.Context(), Channels); err != nil {
		t.Fatal(err)
	}
	svc := connectService(t, e, id, CredsRequest{Name: "svc", Publish: []string{"channel.>"}, Subscribe: []string{"channel.>", "_INBOX.>"}})
	for _, subject := range []string{
		"$JS.API.STREAM.PURGE.CHANNELS", "$JS.API.STREAM.DELETE.CHANNELS", "$JS.API.INFO", "$SYS.REQ.USER.INFO",
		"$SYS.REQ.CLAIMS.LIST", "live.channel.x", "agent.bob", "_GW.x", "$KV.state.x",
	} {
		if _, err := svc.Request(subject, nil, 200*time.Millisecond); err == nil {
			t.Errorf("a service got an answer on %s", subject)
		}
	}
	if first, _, err := c.Bounds(t.Context(), Channels); err != nil || first != 1 {
		t.Errorf("the stream is gone: %d, %v", first, err)
	}
}

func TestCredsRefused(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff})
	id := mustAccount(t, e)
	for _, s := range []string{">", "*", "$JS.API.>", "$SYS.>", "_GW.>", "live.channel.>", "channel", "channel.", "channel..a", "channel.a b", "channel.>.a", "chan*.a", "*.a", ""} {
		if _, _, err := e.Creds(t.Context(), id, CredsRequest{Name: "svc", Publish: []string{s}}); fault.CodeOf(err) != fault.InvalidID {
			t.Errorf("publish %q: err %v, want INVALID_ID", s, err)
		}
	}
	for _, s := range []string{">", "$JS.>", "_GW.>", "live"} {
		if _, _, err := e.Creds(t.Context(), id, CredsRequest{Name: "svc", Subscribe: []string{s}}); fault.CodeOf(err) != fault.InvalidID {
			t.Errorf("subscribe %q: err %v, want INVALID_ID", s, err)
		}
	}
	if _, _, err := e.Creds(t.Context(), id, CredsRequest{Name: "a.b"}); fault.CodeOf(err) != fault.InvalidID {
		t.Errorf("name a.b: err %v, want INVALID_ID", err)
	}
}

func TestSuspendResumeErase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := mustOpen(t, Config{DataDir: dir, Listen: "127.0.0.1:0"})
	ctx := t.Context()
	id := mustAccount(t, e)
	svc := connectService(t, e, id, CredsRequest{Name: "svc", Publish: []string{"channel.>"}})
	cut := make(chan struct{})
	svc.SetClosedHandler(func(*nats.Conn) { close(cut) })
	c, err := e.Acquire(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ensure(ctx, Channels); err != nil {
		t.Fatal(err)
	}
	if _, err := c.JetStream().Publish(ctx, "channel.x", []byte("canary-4711")); err != nil {
		t.Fatal(err)
	}
	c.Release()

	if err := e.PutAccount(ctx, Account{ID: id, Name: "acme", Suspended: true}); err != nil {
		t.Fatal(err)
	}
	<-cut
	if _, err := e.Acquire(ctx, id); fault.CodeOf(err) != fault.Unavailable {
		t.Fatalf("Acquire of a suspended account: %v", err)
	}
	if err := e.PutAccount(ctx, Account{ID: id, Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	c, err = e.Acquire(ctx, id)
	if err != nil {
		t.Fatalf("Acquire after resume: %v", err)
	}
	if last, err := c.Last(ctx, Channels, "channel.x"); err != nil || last != 1 {
		t.Fatalf("after resume Last = %d, %v; want 1", last, err)
	}
	c.Release()

	for range 2 { // the second time there is nothing left
		if err := e.EraseAccount(ctx, id); err != nil {
			t.Fatalf("EraseAccount: %v", err)
		}
	}
	if name := findBytes(t, dir, "canary-4711"); name != "" {
		t.Errorf("%s still holds the tenant's data", name)
	}
	if _, err := e.Acquire(ctx, id); err == nil {
		t.Error("Acquire of an erased account succeeded")
	}
}

func findBytes(t *testing.T, dir, text string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // a server removes files meanwhile
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if strings.Contains(string(b), text) {
			found = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestIdleConnectionsClose(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff, IdleClose: 20 * time.Millisecond})
	c, err := e.Acquire(t.Context(), mustAccount(t, e))
	if err != nil {
		t.Fatal(err)
	}
	c.Release()
	<-c.ended
}

func TestOpenRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	locked := t.TempDir()
	mustOpen(t, Config{DataDir: locked, Listen: ListenOff})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	badSeed := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(badSeed, "secrets"), 0o700),
		os.WriteFile(filepath.Join(badSeed, "secrets", "operator.seed"), []byte("SUnonsense"), 0o600)); err != nil {
		t.Fatal(err)
	}
	lostSeed := t.TempDir()
	if err := os.Mkdir(filepath.Join(lostSeed, "jetstream"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		cfg  Config
		want string
	}{
		"port taken":  {Config{DataDir: t.TempDir(), Listen: taken.Addr().String()}, "is in use by another process"},
		"bad address": {Config{DataDir: t.TempDir(), Listen: "nonsense"}, "is not host:port"},
		"locked":      {Config{DataDir: locked}, "in use by another process"},
		"not a dir":   {Config{DataDir: file}, "can't be used: not a directory"},
		"no dir":      {Config{}, "No data directory was given"},
		"bad seed":    {Config{DataDir: badSeed}, "holds no operator seed"},
		"lost seed":   {Config{DataDir: lostSeed}, "it is missing although the directory holds messages"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Open(context.Background(), tt.cfg, slog.New(slog.DiscardHandler))
			if err == nil {
				e.Close()
				t.Fatal("Open succeeded")
			}
			if !strings.Contains(fault.Message(err), tt.want) {
				t.Errorf("message %q, want one with %q", fault.Message(err), tt.want)
			}
		})
	}
}

func TestDamagedStreamStopsTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := t.Context()
	e, err := Open(ctx, Config{DataDir: dir, Listen: ListenOff}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Acquire(ctx, mustAccount(t, e))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ensure(ctx, Channels); err != nil {
		t.Fatal(err)
	}
	if _, err := c.JetStream().Publish(ctx, "channel.x", []byte("x")); err != nil {
		t.Fatal(err)
	}
	c.Release()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	metas, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "CHANNELS", "meta.inf"))
	if err != nil || len(metas) != 1 {
		t.Fatalf("metafiles: %v, %v", metas, err)
	}
	if err := os.WriteFile(metas[0], []byte(`{"name":"CHANNELS"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if e, err := Open(ctx, Config{DataDir: dir, Listen: ListenOff}, slog.New(slog.DiscardHandler)); err == nil {
		e.Close()
		t.Fatal("Open succeeded on a damaged store")
	} else if !strings.Contains(fault.Message(err), "damaged") {
		t.Errorf("message %q does not say that the directory is damaged", fault.Message(err))
	}
}

func TestFullDiskRefusesWrites(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff, MinFree: 1 << 62})
	e.checkSpace()
	if err := e.Check(); fault.CodeOf(err) != fault.StorageFull {
		t.Fatalf("Check = %v, want STORAGE_FULL", err)
	}
	e.minFree.Store(1)
	e.checkSpace()
	if err := e.Check(); err != nil {
		t.Fatalf("Check with room again = %v", err)
	}
}
