package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

// lastAtOnce bounds the subjects of one request. Their newest messages come whole, and must fit what the server sends at
// most in answer to one.
const lastAtOnce = maxPending / maxPayload / 2

// lastQueue gathers the questions for the newest message on subjects of one stream, because many are asked at the same
// time: by all the clients of a node that come back after a break. Who comes first asks, for all who came meanwhile the
// next one does.
type lastQueue struct {
	mu      sync.Mutex
	waiting []*lastQuestion // guarded by mu
	asking  bool            // guarded by mu
}

type lastQuestion struct {
	subject Subject
	turn    chan struct{} // told when it is answered, or is to ask
	done    bool
	seq     uint64
	err     error
}

// Last returns the sequence of the newest message on a subject, 0 when there is none.
func (c *Conn) Last(ctx context.Context, s Stream, subject Subject) (uint64, error) {
	if c.engine.Clustered() { // see leaderread.go
		msg, _, err := c.fromLeader(ctx, s, leaderGet{Last: subject})
		if err != nil {
			err = unreadable(ReadRequest{Stream: s, Subject: subject}, err)
		}
		return msg.Seq, err
	}
	return c.lastQueue(s).ask(subject, func(subjects []Subject) (map[Subject]uint64, error) {
		// Somebody else's client going away must not fail this one.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		if len(subjects) == 1 {
			seq, err := c.lastOf(ctx, s, subjects[0])
			return map[Subject]uint64{subjects[0]: seq}, err
		}
		return c.lastOfAll(ctx, s, subjects)
	})
}

func (c *Conn) lastQueue(s Stream) *lastQueue {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.lasts[s]
	if q == nil {
		q = &lastQueue{}
		if c.lasts == nil {
			c.lasts = map[Stream]*lastQueue{}
		}
		c.lasts[s] = q
	}
	return q
}

// ask returns what f finds for the subject. It waits for at most two calls of f.
func (q *lastQueue) ask(subject Subject, f func([]Subject) (map[Subject]uint64, error)) (uint64, error) {
	own := &lastQuestion{subject: subject, turn: make(chan struct{}, 1)}
	q.mu.Lock()
	q.waiting = append(q.waiting, own)
	first := !q.asking
	q.asking = true
	q.mu.Unlock()
	if !first {
		if <-own.turn; own.done {
			return own.seq, own.err
		}
	}
	q.mu.Lock()
	n := min(len(q.waiting), lastAtOnce) // own is the first of them
	batch := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	q.mu.Unlock()
	subjects := make([]Subject, n)
	for i, question := range batch {
		subjects[i] = question.subject
	}
	found, err := f(subjects)
	for _, question := range batch {
		question.seq, question.err, question.done = found[question.subject], err, true
		question.turn <- struct{}{}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.asking = len(q.waiting) > 0; q.asking {
		q.waiting[0].turn <- struct{}{}
	}
	return own.seq, own.err
}

func (c *Conn) lastOf(ctx context.Context, s Stream, subject Subject) (uint64, error) {
	m, err := c.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+string(s)+"."+string(subject), nil)
	if err != nil {
		return 0, unreadable(ReadRequest{Stream: s, Subject: subject}, err)
	}
	if m.Header.Get("Status") == "404" {
		return 0, nil
	}
	msg, err := decodeStored(m)
	return msg.Seq, err
}

func (c *Conn) lastOfAll(ctx context.Context, s Stream, subjects []Subject) (map[Subject]uint64, error) {
	body, err := json.Marshal(struct {
		LastOf []Subject `json:"multi_last"`
	}{subjects})
	if err != nil {
		return nil, err
	}
	found := make(map[Subject]uint64, len(subjects))
	err = c.directGet(ctx, s, body, len(subjects), func(m *nats.Msg) error {
		msg, err := decodeStored(m)
		found[msg.Subject] = msg.Seq
		return err
	})
	if err != nil {
		return nil, unreadable(ReadRequest{Stream: s, Subject: subjects[0]}, err)
	}
	return found, nil
}

// directGet sends a request for at most so many messages and calls f for each that comes.
func (c *Conn) directGet(ctx context.Context, s Stream, body []byte, most int, f func(*nats.Msg) error) error {
	inbox, answers := c.nc.NewInbox(), make(chan *nats.Msg, most+1)
	sub, err := c.nc.ChanSubscribe(inbox, answers) // one that queues for itself holds room for 65,536 messages
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.nc.PublishRequest("$JS.API.DIRECT.GET."+string(s), inbox, body); err != nil {
		return err
	}
	for {
		m, err := receive(ctx, answers)
		if err != nil {
			return err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
			if err := f(m); err != nil {
				return err
			}
		case "204", "404": // the end, or nothing at all
			return nil
		default:
			return fmt.Errorf("status %s %s", status, m.Header.Get("Description"))
		}
	}
}

func receive(ctx context.Context, from <-chan *nats.Msg) (*nats.Msg, error) {
	select {
	case m, ok := <-from:
		if !ok {
			return nil, nats.ErrConnectionClosed
		}
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
