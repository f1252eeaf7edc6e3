package broker

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/uuid"

	"parley/internal/fault"
)

// dataDir is the directory that one broker owns: secrets, account JWTs and the JetStream store. The lock lives as long
// as the file does, so a crash never leaves it behind.
type dataDir struct {
	path string
	lock *os.File
}

func openDataDir(path string) (*dataDir, error) {
	if path == "" {
		return nil, fault.New(fault.Usage, "No data directory was given.")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("resolve the data directory: %w", err)
	}
	d := &dataDir{path: path}
	for _, sub := range []string{path, d.secrets(), d.accounts()} {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return nil, unusable(path, err)
		}
	}
	// An older umask or a careless copy must not leave the secrets readable.
	for _, sub := range []string{path, d.secrets()} {
		if err := os.Chmod(sub, 0o700); err != nil {
			return nil, unusable(path, err)
		}
	}
	if d.lock, err = lockFile(filepath.Join(path, "lock")); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.New(fault.Unavailable, "The data directory %s is in use by another process.", path).
				WithFix("Stop that one, or give this one a directory of its own with --data.")
		}
		return nil, unusable(path, err)
	}
	return d, nil
}

func unusable(path string, err error) error {
	return fault.Wrap(fault.Unavailable, err, "The data directory %s can't be used: %s.", path, rootCause(err)).
		WithFix("Give a directory that this user may write with --data.")
}

// rootCause is the text of the operating system's own error, which names no file twice.
func rootCause(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (d *dataDir) secrets() string  { return filepath.Join(d.path, "secrets") }
func (d *dataDir) accounts() string { return filepath.Join(d.path, "accounts") }

// store is the directory that JetStream makes inside the data directory.
func (d *dataDir) store() string { return filepath.Join(d.path, "jetstream") }

func (d *dataDir) close() error { return d.lock.Close() }

// name returns the node's name. It is made at the first start, or the one that is wanted, and stays: in a cluster it says
// which copies of which streams this directory holds.
func (d *dataDir) name(wanted string) (string, error) {
	path := filepath.Join(d.path, "node.name")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		name := cmp.Or(wanted, "node-"+uuid.NewString()[:8])
		if _, err := ParseToken(name); err != nil {
			return "", fault.Wrap(fault.Usage, err, "The node's name %q is no id.", name)
		}
		return name, writeSecret(path, []byte(name+"\n"))
	}
	if err != nil {
		return "", unusable(d.path, err)
	}
	name := strings.TrimSpace(string(b))
	if _, err := ParseToken(name); err != nil {
		return "", damaged(path, "it holds no name")
	}
	if wanted != "" && wanted != name {
		return "", fault.New(fault.Usage, "The data directory %s belongs to the node %s, not to %s.", d.path, name, wanted).
			WithFix("Leave the name away, or give the new node a directory of its own.")
	}
	return name, nil
}
