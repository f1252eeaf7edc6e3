package handshake

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// lingerWithin and lingerBytes bound what a client that was refused may still send before it reads why.
	lingerWithin = 500 * time.Millisecond
	lingerBytes  = 64 << 10
	// refuseWithin bounds the time that it takes it to read that.
	refuseWithin = 5 * time.Second
)

// response is a handshake's ResponseWriter. The handler takes the connection over by Hijack, or refuses by writing.
type response struct {
	conn   net.Conn
	header http.Header
	early  []byte // what the client has sent behind its request
	status int    // 0 until WriteHeader
	body   bytes.Buffer
	taken  bool
}

var _ http.Hijacker = (*response)(nil)

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. The first call counts.
func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if w.taken {
		return 0, http.ErrHijacked
	}
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Hijack implements http.Hijacker. It sends the header first if there is one.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.taken {
		return nil, nil, http.ErrHijacked
	}
	w.taken = true
	if w.status == http.StatusSwitchingProtocols {
		if err := w.switchProtocols(); err != nil {
			return nil, nil, err
		}
	}
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(w.early)), w.conn), max(16, len(w.early)))
	_, _ = r.Peek(len(w.early)) // so that it is buffered, as callers expect
	return w.conn, bufio.NewReadWriter(r, bufio.NewWriterSize(w.conn, 16)), nil
}

func (w *response) switchProtocols() error {
	var b bytes.Buffer
	b.Grow(512)
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = w.header.Write(&b) // a buffer takes everything
	b.WriteString("\r\n")
	_, err := w.conn.Write(b.Bytes())
	if err != nil {
		_ = w.conn.Close()
	}
	return err
}

// refuse sends what the handler has written and closes the connection, such that the client gets to read it even if it has
// sent more than its request: closing at once would make the kernel reset the connection.
func (w *response) refuse() {
	defer func() { _ = w.conn.Close() }()
	w.WriteHeader(http.StatusOK)
	if w.header.Get("Date") == "" {
		w.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	_ = w.conn.SetDeadline(time.Now().Add(refuseWithin)) // if it fails, so does the write
	answer := http.Response{
		StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header, Close: true,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
	}
	var b bytes.Buffer
	if answer.Write(&b) != nil {
		return
	}
	if _, err := w.conn.Write(b.Bytes()); err != nil {
		return
	}
	if tcp, ok := w.conn.(*net.TCPConn); ok && tcp.CloseWrite() == nil && tcp.SetReadDeadline(time.Now().Add(lingerWithin)) == nil {
		_, _ = io.CopyN(io.Discard, tcp, lingerBytes)
	}
}
