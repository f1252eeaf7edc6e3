package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	strictjson "github.com/go-json-experiment/json"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

// reader reads an archive part by part and refuses whatever a writer would not have written. What it gives out before
// io.EOF is not proven yet: the checksums stand at the end. It is for one goroutine.
type reader struct {
	tar    *tar.Reader
	header Header

	sums     bytes.Buffer // as they should stand at the end
	tenant   tenants.ID
	stream   *broker.StreamImage
	subjects []string // that the stream stores
	number   int      // of the file of messages that was read last
	lines    []byte   // of that file, not given out yet
	last     uint64   // sequence given out last
	seen     uint64   // messages of the stream given out
	tenants  map[tenants.ID]bool
	streams  map[string]bool // of the tenant
}

// part is one of: the beginning of a tenant, the beginning of a stream of it, a message of that.
type part struct {
	record  []byte
	tenant  tenants.Tenant
	stream  *broker.StreamImage
	message *broker.RawMessage
}

// newReader reads the beginning of an archive. Errors are fault.InvalidFormat, or those of in.
func newReader(in io.Reader) (*reader, error) {
	r := &reader{tar: tar.NewReader(in), tenants: map[tenants.ID]bool{}}
	name, content, err := r.file()
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return nil, foreign("it is no tar archive")
	}
	if err != nil {
		return nil, err
	}
	if name != headerFile {
		return nil, foreign("it begins with %q", printable(name))
	}
	if err := json.Unmarshal(content, &r.header); err != nil {
		return nil, foreign("%s can't be read", headerFile)
	}
	return r, r.header.check()
}

// next returns the next part, or io.EOF once the checksums have proven all that was given out.
func (r *reader) next() (part, error) {
	if len(r.lines) > 0 {
		return r.message()
	}
	name, content, err := r.file()
	if err != nil {
		return part{}, r.broken(err)
	}
	switch {
	case name == sumsFile:
		return part{}, r.finish(content)
	case name == failureFile:
		return part{}, fault.New(fault.Unavailable, "The backup was not finished: %s", strings.TrimSpace(printable(string(content))))
	case strings.HasSuffix(name, "/"+recordFile):
		return r.beginTenant(name, content)
	case strings.HasSuffix(name, "/"+streamFile):
		return r.beginStream(name, content)
	case r.stream != nil && name == messagesPath(r.tenant, r.stream.Name, r.number+1) && len(content) > 0:
		r.number++
		r.lines = content
		return r.message()
	}
	return part{}, damaged("the file %q has no place there", printable(name))
}

// broken says what an error of the archive's form means here.
func (r *reader) broken(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return damaged("its end is missing")
	case errors.Is(err, tar.ErrHeader):
		return damaged("it does not hold together as a tar archive")
	}
	return err
}

// file reads the next file whole. Its size is bounded by what it is.
func (r *reader) file() (name string, content []byte, err error) {
	h, err := r.tar.Next()
	if err != nil {
		return "", nil, err
	}
	if h.Typeflag != tar.TypeReg {
		return "", nil, damaged("%q is no plain file", printable(h.Name))
	}
	limit := int64(maxChunkBytes)
	switch {
	case h.Name == headerFile, h.Name == failureFile:
		limit = maxHeaderBytes
	case h.Name == sumsFile:
		limit = maxSumsBytes
	case strings.HasSuffix(h.Name, "/"+recordFile):
		limit = maxRecordBytes
	case strings.HasSuffix(h.Name, "/"+streamFile):
		limit = maxStreamBytes
	}
	if h.Size > limit {
		return "", nil, damaged("%q claims to be %d bytes long; at most %d are possible", printable(h.Name), h.Size, limit)
	}
	var b bytes.Buffer // which grows with what is really there, whatever is claimed
	if _, err := b.ReadFrom(r.tar); err != nil {
		return "", nil, err
	}
	if h.Name != sumsFile {
		fmt.Fprintf(&r.sums, "%x  %s\n", sha256.Sum256(b.Bytes()), h.Name)
	}
	return h.Name, b.Bytes(), nil
}

func (r *reader) beginTenant(name string, record []byte) (part, error) {
	t, err := tenants.ParseExport(record)
	if err != nil {
		return part{}, damaged("%q: %s", printable(name), strings.TrimSuffix(fault.Message(err), "."))
	}
	if name != recordPath(t.ID) || r.tenants[t.ID] {
		return part{}, damaged("the file %q has no place there", printable(name))
	}
	if err := r.endStream(); err != nil {
		return part{}, err
	}
	r.tenants[t.ID] = true
	r.tenant, r.stream, r.streams = t.ID, nil, map[string]bool{}
	return part{record: record, tenant: t}, nil
}

func (r *reader) beginStream(name string, content []byte) (part, error) {
	var image broker.StreamImage
	if err := strictjson.Unmarshal(content, &image, strictjson.RejectUnknownMembers(true)); err != nil {
		return part{}, damaged("%q can't be read", printable(name))
	}
	if r.tenant == "" || !validStream(image.Name) || name != streamPath(r.tenant, image.Name, streamFile) || r.streams[image.Name] {
		return part{}, damaged("the file %q has no place there", printable(name))
	}
	if err := r.endStream(); err != nil {
		return part{}, err
	}
	if err := image.Check(); err != nil {
		return part{}, damaged("%q: %s", printable(name), err)
	}
	r.streams[image.Name] = true
	r.stream, r.subjects, r.number, r.last, r.seen = &image, image.Subjects(), 0, 0, 0
	return part{stream: &image}, nil
}

// endStream checks that a stream has given what it had announced, as far as it can be told: what was deleted while the
// backup was made may be missing.
func (r *reader) endStream() error {
	if r.stream != nil && r.seen > r.stream.Messages {
		return damaged("the stream %s of %s has more messages than it says", r.stream.Name, r.tenant)
	}
	return nil
}

// message gives out the next line.
func (r *reader) message() (part, error) {
	end := bytes.IndexByte(r.lines, '\n')
	if end < 0 {
		return part{}, damaged("%q ends within a message", messagesPath(r.tenant, r.stream.Name, r.number))
	}
	m, err := parseLine(r.lines[:end])
	if err == nil && (m.Seq <= r.last || m.Seq < r.stream.FirstSeq || m.Seq > r.stream.LastSeq) {
		err = fmt.Errorf("message %d is not in order", m.Seq)
	}
	if err == nil && !broker.SubjectIn(m.Subject, r.subjects) {
		err = fmt.Errorf("message %d is not one of this stream", m.Seq)
	}
	if err != nil {
		return part{}, damaged("%q: %s", messagesPath(r.tenant, r.stream.Name, r.number), printable(err.Error()))
	}
	r.lines = r.lines[end+1:]
	r.last = m.Seq
	r.seen++
	return part{message: &m}, nil
}

// finish compares the checksums and sees that nothing follows. It returns io.EOF when all is well.
func (r *reader) finish(sums []byte) error {
	if err := r.endStream(); err != nil {
		return err
	}
	if !bytes.Equal(sums, r.sums.Bytes()) {
		return damaged("%s", firstDifference(r.sums.String(), string(sums)))
	}
	switch _, err := r.tar.Next(); {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return r.broken(err)
	}
	return damaged("something follows behind its end")
}

// firstDifference names the first file whose checksum is another one.
func firstDifference(is, said string) string {
	want := strings.Split(said, "\n")
	for i, got := range strings.Split(is, "\n") {
		if i < len(want) && got == want[i] {
			continue
		}
		if _, name, ok := strings.Cut(got, "  "); ok {
			return fmt.Sprintf("the checksum of %q is not the one in %s", printable(name), sumsFile)
		}
	}
	return sumsFile + " lists other files"
}

// printable shortens what an archive says, and makes it harmless to show.
func printable(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, s), "?")
}
