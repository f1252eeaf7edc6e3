package rig

import (
	"os"
	"path/filepath"
	"testing"
)

// WriteFile writes b to a new file of the test's, readable by its user only, and returns the path.
func WriteFile(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
