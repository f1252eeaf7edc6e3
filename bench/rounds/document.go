package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// document is a page of which a part is written by this program, between two comments that name it.
type document struct {
	dir  string // where the pages are
	name string // of the page, its data and its picture, without extension
}

func (d document) path(extension string) string { return filepath.Join(d.dir, d.name+extension) }

// write writes the data, the picture and the page's part.
func (d document) write(data any, part string, draw func(io.Writer) error) error {
	page, err := os.ReadFile(d.path(".md"))
	if err != nil {
		return err
	}
	page, err = replacePart(page, "measured", fmt.Sprintf("![%s](%s.svg)\n\n%s", "Chart of the table below", d.name, part))
	if err != nil {
		return fmt.Errorf("%s: %w", d.path(".md"), err)
	}
	var svg bytes.Buffer
	if err := draw(&svg); err != nil {
		return err
	}
	if err := writeJSON(d.path(".json"), data); err != nil {
		return err
	}
	if err := publish(d.path(".svg"), svg.Bytes()); err != nil {
		return err
	}
	return publish(d.path(".md"), page)
}

// publish writes a file that everybody may read.
func publish(path string, b []byte) error {
	return os.WriteFile(path, b, 0o644) //nolint:gosec // G306: documentation is no secret
}

// replacePart replaces what stands between <!-- name --> and <!-- end of name -->.
func replacePart(page []byte, name, part string) ([]byte, error) {
	from, to := fmt.Appendf(nil, "<!-- %s -->\n", name), fmt.Appendf(nil, "<!-- end of %s -->", name)
	before, rest, ok := bytes.Cut(page, from)
	_, after, closed := bytes.Cut(rest, to)
	if !ok || !closed || bytes.Contains(rest, from) {
		return nil, fmt.Errorf("there has to be one part between %s and %s", bytes.TrimSpace(from), to)
	}
	return bytes.Join([][]byte{before, from, []byte(part), to, after}, nil), nil
}
