package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
)

// head is the beginning of a connection: a request's first line and header, and what came along with it.
type head struct {
	buf    []byte
	filled int
	end    int // behind the empty line; 0 when that has not come

	source bytes.Reader
	reader *bufio.Reader // of source
}

const firstHead = 4 << 10 // most have some hundred bytes

func newHead() *head {
	h := &head{buf: make([]byte, firstHead)}
	h.reader = bufio.NewReaderSize(&h.source, 1<<10)
	return h
}

func (h *head) all() []byte    { return h.buf[:h.filled] }
func (h *head) behind() []byte { return h.buf[h.end:h.filled] }

// read reads until the head is complete, or until there is no need to because it can't be a handshake's. The error is the
// connection's.
func (h *head) read(nc net.Conn, limit int) (complete bool, err error) {
	h.filled, h.end = 0, 0
	for {
		n, err := nc.Read(h.buf[h.filled:])
		seen := max(0, h.filled-len(endOfHead))
		h.filled += n
		if i := bytes.Index(h.buf[seen:h.filled], endOfHead); i >= 0 {
			h.end = seen + i + len(endOfHead)
			return true, nil
		}
		switch {
		case errors.Is(err, io.EOF) && h.filled > 0: // net/http says what it thinks of half a head
			return false, nil
		case err != nil:
			return false, err
		case !mayBeGet(h.all()), h.filled >= limit, bytes.Contains(h.buf[seen:h.filled], bareEndOfHead):
			return false, nil
		case h.filled == len(h.buf):
			h.buf = append(h.buf, make([]byte, len(h.buf))...)
		}
	}
}

var (
	get           = []byte("GET ")
	endOfHead     = []byte("\r\n\r\n")
	bareEndOfHead = []byte("\n\n") // net/http takes it
)

func mayBeGet(b []byte) bool { return bytes.HasPrefix(b, get[:min(len(b), len(get))]) }

// request returns the handshake that the complete head is, and nil when it is anything else or anything unusual.
func (h *head) request() *http.Request {
	text := h.buf[:h.end]
	if !mayBeGet(text) || !plain(text) {
		return nil
	}
	h.source.Reset(text)
	h.reader.Reset(&h.source)
	r, err := http.ReadRequest(h.reader)
	if err != nil || r.Proto != "HTTP/1.1" || r.ContentLength != 0 || r.TransferEncoding != nil || r.Header["Expect"] != nil ||
		!strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return nil
	}
	return r
}

// plain reports whether a head is printable ASCII in lines that end as they should, and its fields have proper names, one of
// them being Host. All that http.ReadRequest lets pass and net/http's server does not, is not plain.
func plain(head []byte) bool {
	hosts := 0
	request := true
	for line := range bytes.Lines(head) {
		line, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok || bytes.ContainsFunc(line, unprintable) {
			return false
		}
		if request || len(line) == 0 {
			request = false
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || bytes.ContainsFunc(name, unnamed) {
			return false
		}
		if bytes.EqualFold(name, []byte("Host")) {
			hosts++
			if value = bytes.TrimSpace(value); len(value) == 0 || bytes.ContainsFunc(value, unhosted) {
				return false
			}
		}
	}
	return hosts == 1
}

func unprintable(r rune) bool { return (r < ' ' && r != '\t') || r >= 0x7f }

func letterOrDigit(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// unnamed and unhosted are what stands in no field's name and no host's, as far as these are usual.
func unnamed(r rune) bool  { return !letterOrDigit(r) && r != '-' && r != '_' }
func unhosted(r rune) bool { return !letterOrDigit(r) && !strings.ContainsRune("-._:[]", r) }
