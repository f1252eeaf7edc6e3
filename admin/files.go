package admin

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"parley/internal/fault"
)

// The files by which a server and the command line on the same machine find each other.
const (
	keyFile = "admin.key" // 0600
	urlFile = "admin.url"
)

const minKeyChars = 32

// metricsKeyFile holds what opens the metrics and nothing else; 0600.
const metricsKeyFile = "metrics.key"

// EnsureKey returns the admin key of a data directory, making it when there is none.
func EnsureKey(dataDir string) (string, error) { return ensureKey(dataDir, keyFile) }

// EnsureMetricsKey returns the metrics key of a data directory, making it when there is none.
func EnsureMetricsKey(dataDir string) (string, error) { return ensureKey(dataDir, metricsKeyFile) }

func ensureKey(dataDir, name string) (string, error) {
	key, err := ReadKey(filepath.Join(dataDir, name))
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	secret := make([]byte, 32)
	rand.Read(secret) // never fails, see crypto/rand
	key = base64.RawURLEncoding.EncodeToString(secret)
	return key, replaceFile(dataDir, name, key)
}

// ReadKey reads an admin key, or a metrics key, from a file. The error wraps fs.ErrNotExist when there is none.
func ReadKey(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fault.Wrap(fault.Usage, err, "The key can't be read: %s.", err)
	}
	key := strings.TrimSpace(string(b))
	if !ValidKey(key) {
		return "", fault.New(fault.Usage, "The file %s holds no key.", path).
			WithFix("If it is a server's own, stop the server and remove the file: the next start makes a new one.")
	}
	return key, nil
}

// ValidKey reports whether s could be an admin key: long enough, and of characters that fit into a header.
func ValidKey(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(s) >= minKeyChars
}

// Advertise writes where the admin API listens into the data directory, for clients on the same machine.
func Advertise(dataDir, url string) error { return replaceFile(dataDir, urlFile, url) }

// Withdraw takes back what Advertise wrote, if anything.
func Withdraw(dataDir string) error {
	if err := os.Remove(filepath.Join(dataDir, urlFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Find returns where the admin API of a server on the same machine listens, and its key.
func Find(dataDir string) (url, key string, err error) {
	b, err := os.ReadFile(filepath.Join(dataDir, urlFile))
	if err != nil {
		return "", "", fault.Wrap(fault.Unavailable, err, "No server runs on the data directory %s.", dataDir).
			WithFix("Start one with: parley serve --data %s\nOr say where it is: --server URL and --admin-key-file FILE, or --data DIR.", dataDir)
	}
	key, err = ReadKey(filepath.Join(dataDir, keyFile))
	return strings.TrimSpace(string(b)), key, err
}

// replaceFile writes a file that is there whole or not at all, and that only its owner can read.
func replaceFile(dir, name, content string) (err error) {
	temp, err := os.CreateTemp(dir, "."+name+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(temp.Name()))
		}
	}()
	if _, err = temp.WriteString(content + "\n"); err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), filepath.Join(dir, name))
}
