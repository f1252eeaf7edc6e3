package test

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"parley/test/rig"
)

// serve runs `parley serve` where it is expected to fail at once.
func serve(t *testing.T, data string, more ...string) rig.Result {
	t.Helper()
	args := append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0"}, more...)
	return parley.Run(t, rig.Command{Args: args})
}

// checkRefusal expects a failed start that says why and what to do, in words and not in a stack trace.
func checkRefusal(t *testing.T, r rig.Result, wants ...string) {
	t.Helper()
	if r.Code == 0 || r.Code == 2 && !strings.Contains(r.Stderr, "parley") {
		t.Errorf("exit status %d", r.Code)
	}
	for _, want := range wants {
		if !strings.Contains(r.Stderr, want) {
			t.Errorf("the message does not say %q:\n%s", want, r.Stderr)
		}
	}
	if strings.Contains(r.Stderr, "goroutine ") || strings.Contains(r.Stderr, "panic") {
		t.Errorf("a stack trace is no message:\n%s", r.Stderr)
	}
}

func TestStartRefusesATakenPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	for _, flag := range []string{"--listen", "--admin-listen", "--nats-listen"} {
		t.Run(flag, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			checkRefusal(t, serve(t, data, flag, taken), taken, flag, "in use")
			// What failed leaves nothing behind that hinders the next start.
			parley.Start(t, rig.Options{Data: data})
		})
	}
}

func TestStartRefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	checkRefusal(t, serve(t, server.Data), server.Data, "in use by another process", "--data")
	acme := newTenant(t, server, "acme") // the first one is unharmed
	acme.agent("alice", "general").Publish("still here")
}

func TestStartRefusesAnUnusableDirectory(t *testing.T) {
	t.Parallel()
	file := rig.WriteFile(t, "file", nil)
	for name, dir := range map[string]string{"below a file": filepath.Join(file, "data"), "a file": file, "of the kernel's": "/proc/parley"} {
		t.Run(name, func(t *testing.T) {
			checkRefusal(t, serve(t, dir), dir, "--data")
		})
	}
}

// TestStartRefusesDamage damages, one by one, the files that a running broker has left, and expects that the next start
// either refuses, naming what is wrong, or works with everything that was there. What a damaged block of a tenant's own
// stream held is lost, and the log has to say so; the broker never comes up without its tenants.
func TestStartRefusesDamage(t *testing.T) {
	t.Parallel()
	seed := filepath.Join(t.TempDir(), "data")
	server := parley.Start(t, rig.Options{Data: seed})
	newTenant(t, server, "acme").agent("alice", "general").Publish("precious")
	if code := server.Stop(); code != 0 {
		t.Fatalf("exit status %d", code)
	}
	for _, victim := range filesBelow(t, seed) {
		for _, damage := range []struct {
			name string
			to   func([]byte) []byte
		}{
			{"emptied", func([]byte) []byte { return nil }},
			{"overwritten", func(b []byte) []byte { return []byte(strings.Repeat("garbage ", len(b)/8+1)) }},
		} {
			t.Run(damage.name+" "+victim, func(t *testing.T) {
				t.Parallel()
				data := filepath.Join(t.TempDir(), "data")
				if err := os.CopyFS(data, os.DirFS(seed)); err != nil {
					t.Fatal(err)
				}
				// CopyFS does not keep modes; the broker mends them.
				path := filepath.Join(data, victim)
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, damage.to(b), 0o600); err != nil {
					t.Fatal(err)
				}
				checkStartsWholeOrNot(t, data, victim)
			})
		}
	}
}

// checkStartsWholeOrNot starts the broker on data in which the file victim is damaged.
func checkStartsWholeOrNot(t *testing.T, data, victim string) {
	t.Helper()
	server, refusal := parley.TryStart(t, rig.Options{Data: data})
	if server == nil {
		checkRefusal(t, *refusal, data)
		return
	}
	acme := tenant{Server: server, t: t, id: "acme"}
	got := contents(history(t, acme, "general"))
	told := regexp.MustCompile(`level=WARN .*\[CHANNELS\]`).MatchString(server.Log())
	lost := len(got) == 0 && strings.Contains(victim, "/CHANNELS/msgs/")
	if !(lost && told) && (len(got) != 1 || got[0] != "precious") {
		t.Errorf("the broker came up, and its history is %v:\n%s", got, server.Log())
	}
}

func filesBelow(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
