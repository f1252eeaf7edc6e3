package tenants

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"parley/broker"
	"parley/broker/brokertest"
)

// traces returns the files below a directory that hold one of the texts.
func traces(t *testing.T, dir string, texts ...string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, text := range texts {
			if bytes.Contains(b, []byte(text)) || bytes.Contains([]byte(path), []byte(text)) {
				found = append(found, filepath.Base(path)+": "+text)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestErasedFromTheDisk: of a key that was revoked its secret is gone from the disk, of a tenant that was deleted
// everything, however often its record was written, and also when the broker ends afterwards.
func TestErasedFromTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := brokertest.Start(t, broker.Config{DataDir: dir, Listen: broker.ListenOff})
	r, err := open(t.Context(), n.Engine, Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.Run(r.Run)

	mustCreate(t, r, "bystander")
	if _, _, err := r.Create(t.Context(), Spec{ID: "canary-id", Name: "canary-name"}); err != nil {
		t.Fatal(err)
	}
	secret := []byte("canary-secret-canary-secret-canary-secret")
	encoded := base64.StdEncoding.EncodeToString(secret)
	if _, _, err := r.AddKey(t.Context(), "canary-id", KeySpec{Kid: "canary-kid", Secret: secret}); err != nil {
		t.Fatal(err)
	}
	if len(traces(t, dir, encoded)) == 0 {
		t.Error("the secret is nowhere: this test looks in the wrong places")
	}
	if _, err := r.RevokeKey(t.Context(), "canary-id", "canary-kid"); err != nil {
		t.Fatal(err)
	}
	if left := traces(t, dir, encoded); left != nil {
		t.Errorf("the secret of a revoked key is left in %v", left)
	}
	for range pastKept { // more than the bucket keeps
		key, _, err := r.CreateAPIKey(t.Context(), "canary-id", APIKeySpec{Name: "canary-api"})
		if err != nil {
			t.Fatal(err)
		}
		if key.ID == "" {
			t.Fatal("no id")
		}
	}
	if err := r.Delete(t.Context(), "canary-id"); err != nil {
		t.Fatal(err)
	}
	if left := traces(t, dir, "canary-", encoded); left != nil {
		t.Errorf("left of a deleted tenant: %v", left)
	}
	if _, err := r.Get("bystander"); err != nil {
		t.Error(err)
	}
	n.Stop()
	if left := traces(t, dir, "canary-", encoded); left != nil {
		t.Errorf("left of a deleted tenant after the end: %v", left)
	}
}

// TestTheMarkOfADeletedTenantIsErasedAtTheStart: a crash may come between deleting a tenant and erasing its traces.
func TestTheMarkOfADeletedTenantIsErasedAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := mustEngine(t, dir, broker.ListenOff)
	r, err := open(t.Context(), e, Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.insert(t.Context(), Spec{ID: "canary-id"}); err != nil {
		t.Fatal(err)
	}
	if err := r.bucket.Delete(t.Context(), "canary-id"); err != nil {
		t.Fatal(err)
	}
	if len(traces(t, dir, "canary-id")) == 0 {
		t.Fatal("this test looks in the wrong places")
	}
	if _, err := open(t.Context(), e, Config{}, nil); err != nil {
		t.Fatal(err)
	}
	if left := traces(t, dir, "canary-id"); left != nil {
		t.Errorf("left: %v", left)
	}
}
