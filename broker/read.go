package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// Stored is one message as a stream holds it.
type Stored struct {
	Subject Subject
	Seq     uint64
	Time    time.Time // when it was stored
	Header  nats.Header
	Data    []byte
}

// ReadRequest asks for messages of one subject in order.
type ReadRequest struct {
	Stream   Stream
	Subject  Subject
	FromSeq  uint64    // the first sequence of interest. Zero means FromTime, or the beginning.
	FromTime time.Time // messages stored at or after it, when FromSeq is zero
	Limit    int       // how many messages at most; must be positive
	MaxBytes int       // stop after about as many bytes. Zero means the server's own bound.
}

// Read returns stored messages of one subject, oldest first, and whether there are more behind them. It uses direct get
// in batches: no consumer is made, and any replica answers. That there are no more holds for the whole cluster.
func (c *Conn) Read(ctx context.Context, req ReadRequest) (msgs []Stored, more bool, err error) {
	msgs, more, err = c.readDirect(ctx, req)
	if err == nil && !more && c.engine.Clustered() {
		return c.confirmEnd(ctx, req, msgs)
	}
	return msgs, more, err
}

func (c *Conn) readDirect(ctx context.Context, req ReadRequest) (msgs []Stored, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	inbox, answers := c.nc.NewInbox(), make(chan *nats.Msg, req.Limit+1)
	sub, err := c.nc.ChanSubscribe(inbox, answers) // one that queues for itself holds room for 65,536 messages
	if err != nil {
		return nil, false, unreadable(req, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.nc.PublishRequest("$JS.API.DIRECT.GET."+string(req.Stream), inbox, req.encode()); err != nil {
		return nil, false, unreadable(req, err)
	}
	for {
		m, err := receive(ctx, answers)
		if err != nil {
			return nil, false, unreadable(req, err)
		}
		switch status := m.Header.Get("Status"); status {
		case "":
			stored, err := decodeStored(m)
			if err != nil {
				return nil, false, unreadable(req, err)
			}
			msgs = append(msgs, stored)
		case "204": // end of batch
			return msgs, m.Header.Get("Nats-Num-Pending") != "0", nil
		case "404": // no message at or after the start
			return msgs, false, nil
		default:
			return nil, false, unreadable(req, fmt.Errorf("status %s %s", status, m.Header.Get("Description")))
		}
	}
}

// unreadable is what a reader is told; no responders means that the stream does not exist or is not led by any node.
func unreadable(req ReadRequest, err error) error {
	return fault.Wrap(fault.Unavailable, fmt.Errorf("read %s of %s: %w", req.Subject, req.Stream, err), "The history can't be read now.")
}

func (r ReadRequest) encode() []byte {
	body := struct {
		Seq       uint64     `json:"seq,omitempty"`
		StartTime *time.Time `json:"start_time,omitempty"`
		NextFor   string     `json:"next_by_subj"`
		Batch     int        `json:"batch"`
		MaxBytes  int        `json:"max_bytes,omitempty"`
	}{r.FromSeq, nil, string(r.Subject), r.Limit, r.MaxBytes}
	if r.FromSeq == 0 && !r.FromTime.IsZero() {
		body.StartTime = &r.FromTime
	} else {
		body.Seq = max(r.FromSeq, 1)
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // unreachable: the types above always marshal
	}
	return b
}

func decodeStored(m *nats.Msg) (Stored, error) {
	seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return Stored{}, fmt.Errorf("sequence of a stored message: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return Stored{}, fmt.Errorf("time of a stored message: %w", err)
	}
	return Stored{Subject(m.Header.Get("Nats-Subject")), seq, at, m.Header, m.Data}, nil
}

// Get returns one stored message, or fault.NotFound when the stream does not hold it.
func (c *Conn) Get(ctx context.Context, s Stream, seq uint64) (Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+string(s), fmt.Appendf(nil, `{"seq":%d}`, seq))
	if err != nil {
		return Stored{}, unreadable(ReadRequest{Stream: s}, err)
	}
	if m.Header.Get("Status") != "404" {
		return decodeStored(m)
	}
	if c.engine.Clustered() {
		msg, found, err := c.fromLeader(ctx, s, leaderGet{Seq: seq})
		if err != nil {
			return Stored{}, unreadable(ReadRequest{Stream: s}, err)
		}
		if found {
			return msg, nil
		}
	}
	return Stored{}, fault.New(fault.NotFound, "The message %d is no longer stored.", seq)
}

// Bounds returns the first and last sequence that a stream holds. What lies below the first has been dropped by
// retention. An empty stream has first = last + 1.
func (c *Conn) Bounds(ctx context.Context, s Stream) (first, last uint64, err error) {
	stream, err := c.stream(ctx, s)
	if err != nil {
		return 0, 0, unreadable(ReadRequest{Stream: s}, err)
	}
	if stream == nil {
		return 1, 0, nil
	}
	state := stream.CachedInfo().State
	return max(state.FirstSeq, 1), state.LastSeq, nil
}

// Subjects returns the subjects below a stream's root that hold messages, with their number.
func (c *Conn) Subjects(ctx context.Context, s Stream, filter string) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := c.stream(ctx, s)
	if err != nil {
		return nil, unreadable(ReadRequest{Stream: s}, err)
	}
	if stream == nil {
		return nil, nil
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, unreadable(ReadRequest{Stream: s}, err)
	}
	return info.State.Subjects, nil
}

// stream returns a stream as its leader describes it, nil when it does not exist.
func (c *Conn) stream(ctx context.Context, s Stream) (found jetstream.Stream, err error) {
	err = c.Insist(ctx, func(ctx context.Context) (err error) {
		found, err = c.js.Stream(ctx, string(s))
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			found, err = nil, nil
		}
		return err
	})
	return found, err
}
