package broker

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"parley/internal/clustertest"
	"parley/internal/fault"
)

// natsServers are stock NATS servers, run from the configuration that is printed for them.
type natsServers struct {
	t       *testing.T
	seed    string // of the operator that they trust
	configs []string
	all     []*server.Server // nil while one is down
}

// startNATS runs n servers. edit changes their configuration; nil leaves it.
func startNATS(t *testing.T, n int, edit func(string) string) *natsServers {
	t.Helper()
	if n > 1 {
		setRaftTimers() // or every election takes as long as a whole test
	}
	data := t.TempDir()
	s := &natsServers{t: t, seed: filepath.Join(data, "secrets", "operator.seed"), all: make([]*server.Server, n)}
	addrs := clustertest.FreeAddrs(t, 2*n)
	clients, routes := addrs[:n], addrs[n:]
	for i := range n {
		cfg := ServerConfig{Name: fmt.Sprint("nats-", i+1), Listen: clients[i], Dir: t.TempDir()}
		if n > 1 {
			cfg.Cluster = Cluster{Listen: routes[i], Routes: routes}
		}
		text, err := cfg.Format(data, "")
		if err != nil {
			t.Fatal(err)
		}
		if edit != nil {
			text = edit(text)
		}
		name := filepath.Join(t.TempDir(), "nats.conf")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.configs = append(s.configs, name)
		s.start(i)
	}
	t.Cleanup(func() {
		for i := range s.all {
			s.stop(i)
		}
	})
	return s
}

func (s *natsServers) start(i int) {
	s.t.Helper()
	opts, err := server.ProcessConfigFile(s.configs[i])
	if err != nil {
		s.t.Fatal(err)
	}
	opts.NoSigs = true
	if s.all[i], err = server.NewServer(opts); err != nil {
		s.t.Fatal(err)
	}
	s.all[i].SetLoggerV2(&natsLog{log: testLog(opts.ServerName), broken: func(error) {}}, false, false, false)
	s.all[i].Start()
}

func (s *natsServers) stop(i int) {
	if s.all[i] != nil {
		s.all[i].Shutdown()
		s.all[i].WaitForShutdown()
		s.all[i] = nil
	}
}

func (s *natsServers) urls() (all []string) {
	for _, name := range s.configs {
		text, err := os.ReadFile(name)
		if err != nil {
			s.t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), `listen: "`)
		address, _, _ := strings.Cut(rest, `"`)
		all = append(all, "nats://"+address)
	}
	return all
}

// config is that of a broker that uses the servers.
func (s *natsServers) config() Config {
	return Config{DataDir: s.t.TempDir(), SeedFile: s.seed, External: External{URLs: s.urls()}}
}

// startExternal runs n servers and two brokers on them.
func startExternal(t *testing.T, n int) (*natsServers, *Engine, *Engine) {
	t.Helper()
	s := startNATS(t, n, nil)
	one, two := make(chan *Engine, 1), make(chan *Engine, 1)
	var opening sync.WaitGroup
	for name, opened := range map[string]chan *Engine{"p1": one, "p2": two} {
		cfg := s.config()
		opening.Go(func() {
			defer close(opened)
			e, err := Open(context.Background(), cfg, testLog(name))
			if err != nil {
				t.Errorf("Open: %v (fix: %s)", err, fault.Fix(err))
				return
			}
			opened <- e
		})
	}
	opening.Wait()
	a, b := <-one, <-two
	for _, e := range []*Engine{a, b} {
		if e != nil {
			t.Cleanup(func() {
				if err := e.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return s, a, b
}

// forServers runs a test on one external server and on three.
func forServers(t *testing.T, f func(t *testing.T, s *natsServers, a, b *Engine)) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s, a, b := startExternal(t, n)
			f(t, s, a, b)
		})
	}
}

func TestBrokersShareExternalServers(t *testing.T) {
	t.Parallel()
	forServers(t, func(t *testing.T, s *natsServers, a, b *Engine) {
		eventually(t, func(context.Context) error {
			if n := [2]int{a.engineCount(), b.engineCount()}; n != [2]int{2, 2} {
				return fmt.Errorf("they know of %v brokers", n)
			}
			return nil
		})
		if !a.Alive(b.Node()) || a.Warden() != b.Warden() {
			t.Errorf("they do not know each other: %v, wardens %s and %s", a.Alive(b.Node()), a.Warden(), b.Warden())
		}
		id := mustAccount(t, a)
		for i, e := range []*Engine{a, b} {
			conn, err := e.Acquire(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.Ensure(t.Context(), Channels); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.JetStream().Publish(t.Context(), "channel.x", fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
			if err := e.Sync(); err != nil {
				t.Fatal(err)
			}
			if last, err := conn.Last(t.Context(), Channels, "channel.x"); err != nil || last != uint64(i+1) {
				t.Errorf("broker %d: last %d, %v", i, last, err)
			}
			info, err := conn.JetStream().Stream(t.Context(), string(Channels))
			if err != nil || info.CachedInfo().Config.Replicas != len(s.all) {
				t.Errorf("broker %d: %+v, %v", i, info.CachedInfo().Config, err)
			}
			conn.Release()
		}

		if err := b.PutAccount(t.Context(), Account{ID: id, Suspended: true}); err != nil {
			t.Fatal(err)
		}
		for _, e := range []*Engine{a, b} {
			if _, err := e.Acquire(t.Context(), id); fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("Acquire of a suspended account: %v", err)
			}
		}
		if err := a.PutAccount(t.Context(), Account{ID: id}); err != nil {
			t.Fatal(err)
		}
		mustAcquire(t, b, id)
		for range 2 {
			if err := a.EraseAccount(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Acquire(t.Context(), id); err == nil {
			t.Error("Acquire of an erased account succeeded")
		}
	})
}

// TestExternalServersWithTLS connects to a server that proves itself with a certificate.
func TestExternalServersWithTLS(t *testing.T) {
	t.Parallel()
	cert, key := selfSigned(t)
	s := startNATS(t, 1, func(text string) string {
		return text + fmt.Sprintf("tls: {cert_file: %q, key_file: %q}\n", cert, key)
	})
	for name, tt := range map[string]struct {
		scheme, ca string
		want       string // part of the message; "" means that it works
	}{
		"trusted":            {"tls", cert, ""},
		"trusted, not asked": {"nats", cert, ""},
		"not trusted":        {"tls", "", "can't be trusted"},
		"not a certificate":  {"tls", key, "holds no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := s.config()
			cfg.External = External{URLs: []string{tt.scheme + strings.TrimPrefix(s.urls()[0], "nats")}, CAFile: tt.ca}
			e, err := Open(t.Context(), cfg, testLog("p"))
			if tt.want != "" {
				if err == nil || !strings.Contains(fault.Message(err), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			mustAcquire(t, e, mustAccount(t, e))
			t.Cleanup(func() { e.Close() })
		})
	}
}

// selfSigned makes a certificate for 127.0.0.1 that vouches for itself.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestExternalServersRefused(t *testing.T) {
	t.Parallel()
	good := startNATS(t, 1, nil)
	lazy := startNATS(t, 1, func(s string) string { return strings.Replace(s, "sync_interval: always", "sync_interval: 1m", 1) })
	empty := startNATS(t, 1, func(s string) string {
		before, _, _ := strings.Cut(s, "jetstream:")
		return before
	})
	open := startNATS(t, 1, func(s string) string {
		_, rest, _ := strings.Cut(s, "listen:")
		address, _, _ := strings.Cut(rest, "\n")
		return "listen:" + address
	})
	withMessages := t.TempDir()
	e, err := Open(t.Context(), Config{DataDir: withMessages, Listen: ListenOff}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	with := func(s *natsServers, change func(*Config)) Config {
		cfg := s.config()
		cfg.ReadyWithin = 2 * time.Second
		if change != nil {
			change(&cfg)
		}
		return cfg
	}
	for name, tt := range map[string]struct {
		cfg  Config
		want string
	}{
		"another operator": {with(good, func(c *Config) { c.SeedFile = lazy.seed }), "do not trust this broker's operator"},
		"no seed":          {with(good, func(c *Config) { c.SeedFile = "" }), "holds no operator's seed"},
		"syncs later":      {with(lazy, nil), "confirms messages before they are on disk"},
		"no JetStream":     {with(empty, nil), "has no JetStream"},
		"no operator":      {with(open, nil), "do not run in operator mode"},
		"nobody there":     {with(good, func(c *Config) { c.External.URLs = clustertest.FreeAddrs(t, 1) }), "can't be reached"},
		"TLS":              {with(good, func(c *Config) { c.External.URLs[0] = "tls" + c.External.URLs[0][4:] }), "do not agree on TLS"},
		"a password":       {with(good, func(c *Config) { c.External.URLs[0] = "nats://me:pw@x:1" }), "holds a password"},
		"no URL":           {with(good, func(c *Config) { c.External.URLs[0] = "http://x" }), "is not nats://host:port"},
		"no such CA":       {with(good, func(c *Config) { c.External.CAFile = "nowhere.pem" }), "nowhere.pem: no such file"},
		"own messages":     {with(good, func(c *Config) { c.DataDir, c.SeedFile = withMessages, "" }), "holds messages of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Open(context.Background(), tt.cfg, testLog("p"))
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
