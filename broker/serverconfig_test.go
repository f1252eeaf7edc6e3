package broker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"parley/internal/fault"
)

func TestServerConfig(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	c := ServerConfig{Dir: filepath.Join(t.TempDir(), "a dir"), Cluster: Cluster{Routes: []string{"10.0.0.1:6222", "nats://10.0.0.2:6222"}}}
	text, err := c.Format(data, "")
	if err != nil {
		t.Fatal(err)
	}
	seed, err := os.ReadFile(filepath.Join(data, "secrets", "operator.seed"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, string(seed)) {
		t.Error("the operator's seed is in the configuration")
	}
	name := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if dir, ok := opts.AccountResolver.(*server.DirAccResolver); ok {
		defer dir.Close()
	} else {
		t.Errorf("the resolver is a %T", opts.AccountResolver)
	}
	if !opts.JetStream || !opts.SyncAlways || opts.Port != 4222 || opts.Cluster.Port != 6222 || opts.Cluster.Name != "parley" || len(opts.Routes) != 2 {
		t.Errorf("%+v", opts)
	}

	// A broker has the directory, and the same comes out; somewhere else it takes the seed.
	mustOpen(t, Config{DataDir: data, Listen: ListenOff})
	if again, err := c.Format(data, ""); err != nil || again != text {
		t.Errorf("the second time: %v\n%s\n%s", err, text, again)
	}
	elsewhere := t.TempDir()
	if again, err := c.Format(elsewhere, filepath.Join(data, "secrets", "operator.seed")); err != nil || again != text {
		t.Errorf("with the seed: %v", err)
	}
	if info, err := os.Stat(filepath.Join(elsewhere, "secrets", "operator.seed")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestServerConfigRefused(t *testing.T) {
	t.Parallel()
	notASeed := filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(notASeed, []byte("SUnonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	routes := []string{"10.0.0.1:6222"}
	for name, tt := range map[string]struct {
		cfg  ServerConfig
		seed string
		want string
	}{
		"no routes":      {ServerConfig{Cluster: Cluster{Name: "x"}}, "", "no routes"},
		"bad route":      {ServerConfig{Cluster: Cluster{Routes: []string{"10.0.0.1"}}}, "", "is not nats://host:port"},
		"bad address":    {ServerConfig{Listen: "nonsense"}, "", "is not host:port"},
		"bad cluster":    {ServerConfig{Cluster: Cluster{Routes: routes, Listen: "x"}}, "", "is not host:port"},
		"bad name":       {ServerConfig{Name: "a b"}, "", "An id is"},
		"bad seed":       {ServerConfig{}, notASeed, "holds no operator seed"},
		"quote in a dir": {ServerConfig{Dir: "a\"\n}"}, "", "can't stand"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tt.cfg.Format(t.TempDir(), tt.seed)
			if fault.CodeOf(err) == fault.Internal || !strings.Contains(fault.Message(err), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
