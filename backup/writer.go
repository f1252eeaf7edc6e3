package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"parley/broker"
	"parley/tenants"
)

// writer writes an archive. It is for one goroutine.
type writer struct {
	tar  *tar.Writer
	at   time.Time
	sums bytes.Buffer

	tenant tenants.ID
	stream string
	number int    // of the file of messages that is being gathered
	lines  []byte // what is gathered
}

// newWriter begins an archive.
func newWriter(out io.Writer, h Header) (*writer, error) {
	w := &writer{tar: tar.NewWriter(out), at: h.Created}
	return w, w.json(headerFile, h)
}

// begin starts the next tenant.
func (w *writer) begin(id tenants.ID, record []byte) error {
	w.tenant = id
	return w.file(recordPath(id), record)
}

// Stream implements broker.StreamTaker: it starts the next stream of the tenant.
func (w *writer) Stream(image broker.StreamImage) error {
	w.stream, w.number = image.Name, 1
	return w.json(streamPath(w.tenant, image.Name, streamFile), image)
}

// Message implements broker.StreamTaker.
func (w *writer) Message(m broker.RawMessage) error {
	w.lines = appendLine(w.lines, m)
	if len(w.lines) < chunkBytes {
		return nil
	}
	return w.flush()
}

var _ broker.StreamTaker = (*writer)(nil)

// flush writes the messages that are gathered.
func (w *writer) flush() error {
	if len(w.lines) == 0 {
		return nil
	}
	err := w.file(messagesPath(w.tenant, w.stream, w.number), w.lines)
	w.number++
	w.lines = w.lines[:0]
	return err
}

// close ends the archive. Without it, it is not taken for a whole one.
func (w *writer) close() error {
	if err := w.put(sumsFile, w.sums.Bytes()); err != nil {
		return err
	}
	return w.tar.Close()
}

// fail ends the archive with why it can't be finished.
func (w *writer) fail(why string) error {
	if err := w.put(failureFile, []byte(why+"\n")); err != nil {
		return err
	}
	return w.tar.Close()
}

func (w *writer) json(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return w.file(name, append(b, '\n'))
}

// file writes a file and notes its checksum.
func (w *writer) file(name string, content []byte) error {
	fmt.Fprintf(&w.sums, "%x  %s\n", sha256.Sum256(content), name)
	return w.put(name, content)
}

func (w *writer) put(name string, content []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: w.at}
	if err := w.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.tar.Write(content)
	return err
}
