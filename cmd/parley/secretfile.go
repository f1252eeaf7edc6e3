package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// secretFile is a secret that stands in a file, and may be replaced there while the broker runs.
type secretFile struct {
	what string       // it is, for the log
	path string       // where it stands
	use  func([]byte) // takes a new one; called by one goroutine at a time

	held    []byte // the last one that was used
	trouble string // why the file could not be read the last time
}

var errNoSecret = errors.New("it holds no secret")

// read returns what stands in the file.
func (f *secretFile) read() ([]byte, error) {
	b, err := os.ReadFile(f.path)
	if b = bytes.TrimSpace(b); err == nil && len(b) == 0 {
		err = errNoSecret
	}
	return b, err
}

// reread uses what stands in the file if that is new. While it can't be read the one from before stays.
func (f *secretFile) reread(log *slog.Logger) {
	b, err := f.read()
	if err != nil {
		if f.trouble != err.Error() { // else it has been said
			f.trouble = err.Error()
			log.Warn("a secret can't be read again; the one from before stays", "secret", f.what, "file", f.path, "err", err)
		}
		return
	}
	f.trouble = ""
	if !bytes.Equal(b, f.held) {
		f.held = b
		f.use(b)
		log.Info("a new secret is in use", "secret", f.what, "file", f.path)
	}
}

// rereadEvery is how soon it is noticed that a secret was replaced. Nobody has to tell the broker: whoever replaces files
// that are mounted into a container can't send it signals.
const rereadEvery = 2 * time.Second

// followSecrets rereads files regularly, and at once when the process gets SIGHUP, until ctx ends. Without files it keeps
// the signal from ending the process.
func followSecrets(ctx context.Context, files []*secretFile, log *slog.Logger) error {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	defer signal.Stop(asked)
	tick := time.NewTicker(rereadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-asked:
			log.Info("asked to read secrets again", "files", fmt.Sprint(len(files)))
		}
		for _, f := range files {
			f.reread(log)
		}
	}
}
