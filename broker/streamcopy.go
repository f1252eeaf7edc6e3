package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/archive"
	"github.com/nats-io/nats.go"

	"parley/internal/fault"
)

// StreamImage is a stream without its messages. Its JSON form stands in backups.
type StreamImage struct {
	Name     string            `json:"name"`
	Config   json.RawMessage   `json:"config"` // as the JetStream API writes it
	Messages uint64            `json:"messages"`
	Bytes    uint64            `json:"bytes"`
	FirstSeq uint64            `json:"first_seq"`
	LastSeq  uint64            `json:"last_seq"`
	Places   []json.RawMessage `json:"places,omitempty"` // of durable consumers: config and state
}

// RawMessage is a message exactly as a stream holds it.
type RawMessage struct {
	Seq     uint64
	Time    time.Time
	Subject string
	Header  []byte // as NATS writes it; empty for none
	Data    []byte
}

// StreamTaker takes what CopyStream gives out, on the same goroutine. An error ends the copy.
type StreamTaker interface {
	// Stream is called once, first.
	Stream(StreamImage) error
	// Message is called for each message, in the order of their sequences. What it gets is the taker's from then on.
	Message(RawMessage) error
}

// copyAttempts is how often a copy is begun that fails before its first message: another one of the same stream may be
// under way, or a place has just gone.
const copyAttempts = 5

// StreamNames lists all streams of the account, those of its buckets included.
func (c *Conn) StreamNames(ctx context.Context) (names []string, err error) {
	err = c.Insist(ctx, func(ctx context.Context) error {
		names = nil
		list := c.js.StreamNames(ctx)
		for name := range list.Name() {
			names = append(names, c.shown(name).stream)
		}
		return list.Err()
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The tenant's store can't be reached now.")
	}
	slices.Sort(names)
	return names, nil
}

// CopyStream gives a stream to taker as it is at one moment during the call: everything that was confirmed before the call
// is in it. The stream may be written meanwhile. The places of durable consumers are never ahead of the messages.
func (c *Conn) CopyStream(ctx context.Context, name string, taker StreamTaker) error {
	for attempt := 1; ; attempt++ {
		begun, err := c.tryCopy(ctx, name, taker)
		if err == nil || begun || attempt == copyAttempts || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(attempt) * 2 * retryEvery):
		}
	}
}

// tryCopy is one attempt, and reports whether taker was given something.
func (c *Conn) tryCopy(ctx context.Context, name string, taker StreamTaker) (begun bool, err error) {
	var places []json.RawMessage
	d := c.held(name)
	// In a cluster the server's own way fails with every consumer that nobody can ask, such as the watch of a dead node.
	if c.engine.Clustered() {
		if places, err = c.places(ctx, d.held); err != nil {
			return false, uncopied(name, err)
		}
	}
	in, err := c.openSnapshot(ctx, d, c.engine.Clustered())
	if err != nil {
		return false, uncopied(name, err)
	}
	defer in.close()
	entries := archive.NewReader(s2.NewReader(in))
	image, err := in.image(entries)
	if err != nil {
		return false, uncopied(name, err)
	}
	if places != nil {
		image.Places = places
	}
	if err := taker.Stream(image); err != nil {
		return true, err
	}
	for {
		m, err := readEntry(entries)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return true, uncopied(name, err)
		}
		m.Subject = d.lift(m.Subject)
		if err := taker.Message(m); err != nil {
			return true, err
		}
	}
}

func uncopied(name string, err error) error {
	return fault.Wrap(fault.Unavailable, err, "The stream %s can't be copied now.", name)
}

// readEntry returns the next message of a snapshot, io.EOF behind the last one.
func readEntry(entries *archive.Reader) (RawMessage, error) {
	h, err := entries.Next()
	if errors.Is(err, io.EOF) {
		return RawMessage{}, io.ErrUnexpectedEOF // the mark of the end is missing
	}
	if err != nil {
		return RawMessage{}, err
	}
	if h.Sequence == 0 && h.Name == "" {
		return RawMessage{}, io.EOF
	}
	if h.HeaderSize+h.PayloadSize > 2*maxPayload {
		return RawMessage{}, fmt.Errorf("message %d is longer than any can be", h.Sequence)
	}
	b := make([]byte, h.HeaderSize+h.PayloadSize)
	if _, err := io.ReadFull(entries, b); err != nil {
		return RawMessage{}, fmt.Errorf("message %d: %w", h.Sequence, err)
	}
	return RawMessage{
		Seq: h.Sequence, Time: time.Unix(0, h.Timestamp).UTC(), Subject: h.Name,
		Header: b[:h.HeaderSize:h.HeaderSize], Data: b[h.HeaderSize:],
	}, nil
}

// snapshot is the server's own copy of a stream as it comes in: chunks of a compressed archive. It implements io.Reader.
type snapshot struct {
	ctx    context.Context
	name   disguise
	sub    *nats.Subscription
	chunks chan *nats.Msg
	rest   []byte // of the chunk that came last
	over   error  // what Read answers when rest is empty; nil while more may come
	about  server.JSApiStreamSnapshotResponse
}

const (
	snapshotChunk  = 128 << 10
	snapshotWindow = 16 // chunks on their way
	// snapshotPause is how long the server may take for the next chunk.
	snapshotPause = 30 * time.Second
)

// openSnapshot has the server begin a snapshot. The caller closes it.
func (c *Conn) openSnapshot(ctx context.Context, name disguise, withoutPlaces bool) (_ *snapshot, err error) {
	in := &snapshot{ctx: ctx, name: name, chunks: make(chan *nats.Msg, 4*snapshotWindow)}
	inbox := c.nc.NewInbox()
	if in.sub, err = c.nc.ChanSubscribe(inbox, in.chunks); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			in.close()
		}
	}()
	body, err := json.Marshal(server.JSApiStreamSnapshotRequest{
		DeliverSubject: inbox, NoConsumers: withoutPlaces, ChunkSize: snapshotChunk, WindowSize: snapshotWindow * snapshotChunk,
	})
	if err != nil {
		return nil, err
	}
	ask, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := c.nc.RequestWithContext(ask, fmt.Sprintf(server.JSApiStreamSnapshotT, name.held), body)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(m.Data, &in.about); err != nil {
		return nil, err
	}
	if in.about.Error != nil {
		return nil, errors.New(in.about.Error.Description)
	}
	if in.about.Config == nil {
		return nil, errors.New("the server does not say how the stream is configured")
	}
	return in, nil
}

// close has the server stop if it has not finished: it notices that nobody listens.
func (in *snapshot) close() { _ = in.sub.Unsubscribe() }

// Read implements io.Reader.
func (in *snapshot) Read(p []byte) (int, error) {
	for len(in.rest) == 0 {
		if in.over != nil {
			return 0, in.over
		}
		in.receive()
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}

// receive takes the next chunk, or the end.
func (in *snapshot) receive() {
	ctx, cancel := context.WithTimeout(in.ctx, snapshotPause)
	defer cancel()
	m, err := receive(ctx, in.chunks)
	if err != nil {
		in.over = err
		return
	}
	if len(m.Data) == 0 {
		if in.over = io.EOF; m.Header.Get("Status") != "204" {
			in.over = fmt.Errorf("status %s %s", m.Header.Get("Status"), m.Header.Get("Description"))
		}
		return
	}
	in.rest = m.Data
	if m.Reply != "" { // the last chunk has none
		if err := m.Respond(nil); err != nil {
			in.over = err
		}
	}
}

// image reads what stands before the messages.
func (in *snapshot) image(entries *archive.Reader) (StreamImage, error) {
	var state server.StreamState
	h, err := entries.Next()
	if errors.Is(err, archive.ErrInvalidArchive) {
		return StreamImage{}, errors.New("the NATS server is older than 2.15 and writes snapshots in another form")
	}
	if err != nil {
		return StreamImage{}, err
	}
	if h.Name != "state.json" {
		return StreamImage{}, fmt.Errorf("the snapshot begins with %q", h.Name)
	}
	if err := json.NewDecoder(entries).Decode(&state); err != nil {
		return StreamImage{}, err
	}
	in.about.Config.Name = in.name.stream
	for i, subject := range in.about.Config.Subjects {
		in.about.Config.Subjects[i] = in.name.lift(subject)
	}
	config, err := json.Marshal(in.about.Config)
	if err != nil {
		return StreamImage{}, err
	}
	image := StreamImage{
		Name: in.name.stream, Config: config, Messages: state.Msgs, Bytes: state.Bytes, FirstSeq: state.FirstSeq, LastSeq: state.LastSeq,
	}
	for range state.Consumers {
		place, err := readPlace(entries)
		if err != nil {
			return StreamImage{}, err
		}
		if place != nil {
			image.Places = append(image.Places, place)
		}
	}
	return image, nil
}

// readPlace returns the place of a durable consumer; nil of one that ends with whoever uses it.
func readPlace(entries *archive.Reader) (json.RawMessage, error) {
	h, err := entries.Next()
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(h.Name, "consumers/") {
		return nil, fmt.Errorf("expected a consumer, found %q", h.Name)
	}
	b, err := io.ReadAll(entries)
	if err != nil {
		return nil, err
	}
	var consumer struct {
		Config struct {
			Durable string `json:"durable_name"`
		} `json:"config"`
	}
	if err := json.Unmarshal(b, &consumer); err != nil || consumer.Config.Durable == "" {
		return nil, err
	}
	return b, nil
}
