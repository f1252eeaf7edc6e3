package channels

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
)

// DeadLetter is a message that a place has given up.
type DeadLetter struct {
	Number     uint64 // names it within the tenant
	Place      string // "durable NAME", "agent NAME" or "inbox NAME"
	Address    Address
	Seq        uint64
	Deliveries int
	Time       time.Time
	Message    []byte // as it would be delivered; nil when retention has dropped it meanwhile
}

// DeadLetters returns up to limit dead letters behind a number, oldest first.
func (s *Space) DeadLetters(ctx context.Context, after uint64, limit int) ([]DeadLetter, error) {
	if err := s.conn.Ensure(ctx, broker.DeadLetters); err != nil {
		return nil, err
	}
	notices, _, err := s.conn.Read(ctx, broker.ReadRequest{
		Stream: broker.DeadLetters, Subject: ">", FromSeq: after + 1, Limit: cmp.Or(limit, MaxHistory),
	})
	if err != nil {
		return nil, err
	}
	letters := make([]DeadLetter, len(notices))
	for i, n := range notices {
		if letters[i], err = s.readLetter(ctx, n); err != nil {
			return nil, err
		}
	}
	return letters, nil
}

// Replay delivers a dead letter once more at its own place, and takes it off the list.
// fault.NotFound says that there is none of that number, or that retention has dropped its message.
func (s *Space) Replay(ctx context.Context, number uint64) error {
	n, err := s.notice(ctx, number)
	if err != nil {
		return err
	}
	original, err := s.conn.Get(ctx, n.Stream, n.Seq)
	if fault.CodeOf(err) == fault.NotFound {
		return fault.Wrap(fault.NotFound, err, "The message of the dead letter %d is no longer stored.", number)
	}
	if err != nil {
		return err
	}
	// The number as the message's id: a replay that is repeated after an unknown outcome is stored once.
	retry := jetstream.WithMsgID("replay-" + strconv.FormatUint(number, 10))
	if _, err := s.conn.JetStream().Publish(ctx, string(n.Stream.RetrySubject(n.Consumer)), original.Data, retry); err != nil {
		return unreachable(err)
	}
	return s.drop(ctx, number)
}

// DropDeadLetter takes a dead letter off the list. The message itself stays where it is. fault.NotFound says that there
// is none of that number.
func (s *Space) DropDeadLetter(ctx context.Context, number uint64) error {
	if _, err := s.notice(ctx, number); err != nil {
		return err
	}
	return s.drop(ctx, number)
}

func (s *Space) drop(ctx context.Context, number uint64) error {
	stream, err := s.conn.JetStream().Stream(ctx, string(broker.DeadLetters))
	if err == nil {
		err = stream.DeleteMsg(ctx, number)
	}
	if err != nil {
		return unreachable(err)
	}
	return nil
}

// notice is what the server says of a message that it has given up.
type notice struct {
	Stream     broker.Stream `json:"stream"`
	Consumer   string        `json:"consumer"`
	Seq        uint64        `json:"stream_seq"`
	Deliveries int           `json:"deliveries"`
}

// notice reads one from the list.
func (s *Space) notice(ctx context.Context, number uint64) (notice, error) {
	if err := s.conn.Ensure(ctx, broker.DeadLetters); err != nil {
		return notice{}, err
	}
	m, err := s.conn.Get(ctx, broker.DeadLetters, number)
	if fault.CodeOf(err) == fault.NotFound {
		return notice{}, fault.Wrap(fault.NotFound, err, "There is no dead letter %d.", number)
	}
	if err != nil {
		return notice{}, err
	}
	return readNotice(m)
}

func readNotice(m broker.Stored) (n notice, err error) {
	if err := json.Unmarshal(m.Data, &n); err != nil {
		return n, fmt.Errorf("read the notice of a dead letter: %w", err)
	}
	return n, nil
}

func (s *Space) readLetter(ctx context.Context, m broker.Stored) (DeadLetter, error) {
	n, err := readNotice(m)
	if err != nil {
		return DeadLetter{}, err
	}
	kind, owner, channel := parsePlace(n.Consumer)
	letter := DeadLetter{Number: m.Seq, Seq: n.Seq, Deliveries: n.Deliveries, Time: m.Time, Address: Address{Tenant: s.tenant, Channel: channel}}
	switch kind {
	case placeDurable:
		letter.Place = "durable " + string(owner)
	case placeAgent:
		letter.Place = "agent " + string(owner)
	default:
		letter.Place, letter.Address = "inbox "+string(owner), Address{Tenant: s.tenant, Agent: owner}
	}
	original, err := s.conn.Get(ctx, n.Stream, n.Seq)
	if fault.CodeOf(err) == fault.NotFound {
		return letter, nil
	}
	if err != nil {
		return DeadLetter{}, err
	}
	letter.Message, _ = appendDelivery(nil, letter.Address, original)
	return letter, nil
}
