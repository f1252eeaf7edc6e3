package test

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/test/rig"
)

// TestDeletedTenantIsErasedFromTheDisk: of a tenant that was deleted no file of the data directory holds a byte, neither while the
// broker runs nor when it has ended: ids, names, keys, API keys, channels, agents, messages. But for the audit log, which names
// what admins did and holds no contents.
func TestDeletedTenantIsErasedFromTheDisk(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	newTenant(t, server, "bystander")
	server.MustCLI("tenant", "create", "canary-id", "--name", "canary-name")
	gone := tenant{Server: server, t: t, id: "canary-id"}
	secret := "canary-secret-canary-secret-canary-secret"
	file := rig.WriteFile(t, "secret", []byte(secret))
	server.MustCLI("key", "add", "--tenant", gone.id, "--kid", "canary-kid", "--alg", "HS256", "--secret-file", file)
	key := gone.MustCLI("apikey", "create", "--tenant", gone.id, "--name", "canary-api")
	agent := gone.agent("canary-agent", "canary-channel", "ack", "explicit", "durable", "canary-place")
	for range 20 {
		agent.Publish("canary-content")
	}
	agent.Close()

	texts := []string{"canary-", base64.StdEncoding.EncodeToString([]byte(secret)), key}
	if len(tracesIn(t, server.Data, texts)) == 0 {
		t.Fatal("nothing of the tenant is anywhere: this test looks in the wrong places")
	}
	server.MustCLI("tenant", "delete", gone.id, "--yes")
	for _, when := range []string{"after the command", "after the end"} {
		for _, trace := range tracesIn(t, server.Data, texts) {
			if !strings.Contains(trace, "JOURNAL_audit") {
				t.Errorf("%s: %s", when, trace)
			} else if strings.Contains(trace, "canary-content") {
				t.Errorf("%s: the audit log holds a message", when)
			}
		}
		if when == "after the command" {
			server.Stop()
		}
	}
}

// tracesIn returns the files below a directory that hold one of the texts, in their names or in themselves.
func tracesIn(t *testing.T, dir string, texts []string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, text := range texts {
			for _, place := range [][]byte{b, []byte(strings.TrimPrefix(path, dir))} {
				if i := bytes.Index(place, []byte(text)); i >= 0 {
					found = append(found, strings.TrimPrefix(path, dir)+": "+string(place[i:min(i+40, len(place))]))
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
