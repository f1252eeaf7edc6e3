package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/archive"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

const (
	fillChunk  = 128 << 10
	fillWindow = 8 // chunks on their way
	// fillPause is how long the server may take for a chunk, and for what it does behind the last one.
	fillPause = time.Minute
	// copiedWithin bounds the wait until the other nodes of a cluster have their copies.
	copiedWithin = 2 * time.Minute
)

// errForeign says that a stream is none that a broker or its services have made.
var errForeign = errors.New("it takes its messages from elsewhere")

// FillStream makes a stream from image and the messages that next returns, until io.EOF, with the same sequences, times
// and places. There must be none of that name. When it returns nil all nodes that hold the stream have all of it; when it
// fails a part may be left.
func (c *Conn) FillStream(ctx context.Context, image StreamImage, next func() (RawMessage, error)) error {
	request, err := c.fillRequest(image)
	if err != nil {
		return unfilled(image.Name, err)
	}
	out, err := c.openFill(ctx, request)
	if err != nil {
		return unfilled(image.Name, err)
	}
	defer out.close()
	d := c.held(image.Name)
	disguised := func() (RawMessage, error) {
		m, err := next()
		m.Subject = d.put(m.Subject)
		return m, err
	}
	if err := out.send(image, request.State, disguised); err != nil {
		return err
	}
	if err := c.awaitCopies(ctx, image); err != nil {
		return unfilled(image.Name, err)
	}
	return nil
}

func unfilled(name string, err error) error {
	return fault.Wrap(fault.Unavailable, err, "The stream %s could not be restored: %s.", name, err)
}

// fillRequest is the stream as it is to be here, on as many nodes as there are.
func (c *Conn) fillRequest(image StreamImage) (r server.JSApiStreamRestoreRequest, err error) {
	if err := json.Unmarshal(image.Config, &r.Config); err != nil {
		return r, err
	}
	cfg := &r.Config
	if err := image.Check(); err != nil {
		return r, err
	}
	d := c.held(image.Name)
	for i, subject := range cfg.Subjects {
		cfg.Subjects[i] = d.put(subject)
	}
	cfg.Name, cfg.Replicas, cfg.Placement = d.held, c.engine.replicas(), nil
	cfg.PersistMode = server.DefaultPersistMode
	if root := map[string]string{string(Channels): rootChannel, string(Inboxes): rootAgent}[image.Name]; root != "" {
		// As for somebody who has credentials. When there are none, Ensure amends it.
		cfg.RePublish = &server.RePublish{Source: root + ">", Destination: rootLive + root + ">"}
	}
	r.State = server.StreamState{
		Msgs: image.Messages, Bytes: image.Bytes, FirstSeq: image.FirstSeq, LastSeq: image.LastSeq, Consumers: len(image.Places),
	}
	return r, nil
}

// fill is a restore under way: it takes a compressed archive in chunks, of which each is confirmed. It implements
// io.Writer.
type fill struct {
	ctx     context.Context
	nc      *nats.Conn
	to      string // where the server takes the chunks
	inbox   string
	sub     *nats.Subscription
	answers chan *nats.Msg
	waiting int // chunks that are not confirmed
}

// openFill has the server begin. The caller closes it.
func (c *Conn) openFill(ctx context.Context, request server.JSApiStreamRestoreRequest) (_ *fill, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	ask, cancel := context.WithTimeout(ctx, fillPause)
	defer cancel()
	m, err := c.nc.RequestWithContext(ask, fmt.Sprintf(server.JSApiStreamRestoreT, request.Config.Name), body)
	if err != nil {
		return nil, err
	}
	var answer server.JSApiStreamRestoreResponse
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return nil, err
	}
	if answer.Error != nil {
		return nil, errors.New(answer.Error.Description)
	}
	out := &fill{ctx: ctx, nc: c.nc, to: answer.DeliverSubject, inbox: c.nc.NewInbox(), answers: make(chan *nats.Msg, 2*fillWindow)}
	if out.sub, err = c.nc.ChanSubscribe(out.inbox, out.answers); err != nil {
		return nil, err
	}
	return out, nil
}

func (f *fill) close() { _ = f.sub.Unsubscribe() }

// send writes the whole archive. The errors of next come back as they are.
func (f *fill) send(image StreamImage, state server.StreamState, next func() (RawMessage, error)) error {
	chunks := &chunker{out: f}
	compressed := s2.NewWriter(chunks, s2.WriterConcurrency(1))
	err := writeEntries(archive.NewWriter(compressed), image, state, next)
	if given, ok := errors.AsType[*sourceError](err); ok {
		return given.err
	}
	if err = errors.Join(err, compressed.Close()); err == nil {
		err = chunks.flush()
	}
	if err == nil {
		err = f.finish()
	}
	if err != nil {
		return unfilled(image.Name, err)
	}
	return nil
}

// sourceError is an error of whoever gives the messages, not of the server.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }

// writeEntries writes an archive as the server reads it: state, places, messages, and the mark of the end.
func writeEntries(w *archive.Writer, image StreamImage, state server.StreamState, next func() (RawMessage, error)) error {
	encoded, err := json.Marshal(state)
	if err != nil {
		return err
	}
	if err := writeEntry(w, archive.Header{Name: "state.json", PayloadSize: int64(len(encoded))}, encoded); err != nil {
		return err
	}
	for _, place := range image.Places {
		name, err := placeName(place)
		if err != nil {
			return err
		}
		h := archive.Header{Name: "consumers/" + name, PayloadSize: int64(len(place))}
		if err := writeEntry(w, h, place); err != nil {
			return err
		}
	}
	for {
		m, err := next()
		if errors.Is(err, io.EOF) {
			return w.WriteHeader(&archive.Header{})
		}
		if err != nil {
			return &sourceError{err}
		}
		h := archive.Header{
			Name: m.Subject, Timestamp: m.Time.UnixNano(), Sequence: m.Seq,
			HeaderSize: int64(len(m.Header)), PayloadSize: int64(len(m.Data)),
		}
		if err := writeEntry(w, h, m.Header, m.Data); err != nil {
			return err
		}
	}
}

func writeEntry(w *archive.Writer, h archive.Header, parts ...[]byte) error {
	if err := w.WriteHeader(&h); err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// chunker cuts what is written into chunks.
type chunker struct {
	out *fill
	buf []byte
}

// Write implements io.Writer.
func (c *chunker) Write(p []byte) (int, error) {
	c.buf = append(c.buf, p...)
	for len(c.buf) >= fillChunk {
		if err := c.out.chunk(c.buf[:fillChunk]); err != nil {
			return 0, err
		}
		c.buf = append(c.buf[:0], c.buf[fillChunk:]...)
	}
	return len(p), nil
}

func (c *chunker) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	return c.out.chunk(c.buf)
}

// chunk sends one, waiting while too many are not confirmed.
func (f *fill) chunk(b []byte) error {
	for f.waiting >= fillWindow {
		if err := f.confirmed(); err != nil {
			return err
		}
	}
	f.waiting++
	return f.nc.PublishRequest(f.to, f.inbox, b)
}

// confirmed takes the server's answer to a chunk: nothing, or what is wrong.
func (f *fill) confirmed() error {
	answer, err := f.answer()
	if err != nil {
		return err
	}
	f.waiting--
	if len(answer) == 0 {
		return nil
	}
	return fillRefusal(answer)
}

func (f *fill) answer() ([]byte, error) {
	ctx, cancel := context.WithTimeout(f.ctx, fillPause)
	defer cancel()
	m, err := receive(ctx, f.answers)
	if err != nil {
		return nil, err
	}
	if m.Header.Get("Status") == "503" {
		return nil, nats.ErrNoResponders
	}
	return m.Data, nil
}

// finish says that nothing more comes, and waits until the stream stands.
func (f *fill) finish() error {
	for f.waiting > 0 {
		if err := f.confirmed(); err != nil {
			return err
		}
	}
	if err := f.nc.PublishRequest(f.to, f.inbox, nil); err != nil {
		return err
	}
	answer, err := f.answer()
	if err != nil {
		return err
	}
	return fillRefusal(answer)
}

// fillRefusal is what the server says of a restore that has ended; nil when it is well.
func fillRefusal(answer []byte) error {
	var result server.JSApiStreamCreateResponse
	if err := json.Unmarshal(answer, &result); err != nil {
		return err
	}
	if result.Error != nil {
		return errors.New(result.Error.Description)
	}
	return nil
}

// awaitCopies waits until all nodes that hold a stream have all of it, and all its places. Alone, the stream stands
// already.
func (c *Conn) awaitCopies(ctx context.Context, image StreamImage) error {
	if !c.engine.Clustered() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, copiedWithin)
	defer cancel()
	for {
		s, err := c.stream(ctx, Stream(c.held(image.Name).held))
		if err == nil && s != nil {
			info := s.CachedInfo()
			whole := info.Cluster == nil || !slices.ContainsFunc(info.Cluster.Replicas, behind) // nil of a server that is alone
			if whole && info.State.Consumers >= len(image.Places) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, errors.New("not all nodes have a copy yet"))
		case <-time.After(2 * retryEvery):
		}
	}
}

func behind(copied *jetstream.PeerInfo) bool { return !copied.Current && !copied.Offline }
