package acks

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/semaphore"

	"parley/broker"
	"parley/internal/fault"
)

// Config tunes a Publisher. The zero value is ready to use.
type Config struct {
	WindowBytes int64         // bytes on their way to the stream at most; a publisher waits beyond. Defaults to 8 MiB.
	Timeout     time.Duration // how long the stream may take. Defaults to 4 s: the published clients give up after 5.
	Resend      bool          // send again what the stream leaves unanswered: in a cluster its leader may be lost.
}

// slotOverhead is what one message in the window counts on top of its bytes, so that small ones are bounded in number.
const slotOverhead = 1 << 10

func (c Config) withDefaults() Config {
	if c.WindowBytes == 0 {
		c.WindowBytes = 8 << 20
	}
	if c.Timeout == 0 {
		c.Timeout = 4 * time.Second
	}
	return c
}

// Message is what a Publisher stores.
type Message struct {
	Subject broker.Subject
	Sender  broker.Token // who the id belongs to
	ID      string       // the sender's own id. Zero means that a repetition is not recognised.
	Data    []byte       // not changed before the outcome is known

	After *uint64       // the newest message on the subject must be this one, 0 for none; else the outcome is ErrNotLast. Nil means any.
	TTL   time.Duration // how long the message is kept, in whole seconds. Zero means as long as the stream's others.
}

// ErrNotLast is what an Outcome wraps when the message was not stored because of Message.After.
var ErrNotLast = errors.New("another message was stored before it")

// dedupeID scopes a client's id to its sender and destination, because the stream's memory of ids is shared by a whole
// tenant: another agent's guess at an id must not swallow the message, nor must a service that sets the header itself,
// which is what the secret is for. Hashed and cut, it also has a bounded size.
func (m Message) dedupeID(secret []byte) string {
	room := append(make([]byte, 0, 384), secret...) // on the stack: subjects and ids are shorter
	for _, part := range [...]string{string(m.Sender), string(m.Subject), m.ID} {
		room = append(append(room, part...), 0) // no part holds a zero, so that no two triples run together
	}
	sum := sha256.Sum256(room)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Publisher stores messages of one tenant. It is safe for concurrent use; messages of one goroutine are stored in the
// order of its calls. Close it to release its subscription.
type Publisher struct {
	cfg       Config
	conn      *broker.Conn
	committer *Committer
	inbox     string // where confirmations arrive: inbox + "." + slot number
	sub       *nats.Subscription
	window    *semaphore.Weighted
	secret    []byte    // for dedupeID
	envelopes sync.Pool // of *envelope

	mu     sync.Mutex
	next   uint64           // guarded by mu
	slots  map[uint64]slot  // guarded by mu
	lanes  map[string]*lane // by the first token of their subjects, if Config.Resend; guarded by mu
	closed bool             // guarded by mu

	jobs  sync.WaitGroup // resend
	ended chan struct{}  // closed by Close
}

// slot is a message on its way.
type slot struct {
	receipt Receipt
	cost    int64
	sent    time.Time
	again   *repeatable // nil without Config.Resend
}

// NewPublisher returns a Publisher on conn, which stays the caller's.
func NewPublisher(conn *broker.Conn, committer *Committer, cfg Config) (*Publisher, error) {
	cfg = cfg.withDefaults()
	secret, err := conn.Secret()
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		cfg: cfg, conn: conn, committer: committer, secret: secret, inbox: conn.NATS().NewInbox(),
		window: semaphore.NewWeighted(cfg.WindowBytes), envelopes: sync.Pool{New: newEnvelope}, slots: map[uint64]slot{},
		lanes: map[string]*lane{}, ended: make(chan struct{}),
	}
	if p.sub, err = conn.NATS().Subscribe(p.inbox+".*", p.answered); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The tenant can't be reached now.")
	}
	committer.add(p)
	return p, nil
}

// Publish hands m to the stream and returns; r learns the outcome. It waits while the window is full. An error means
// that nothing was sent and r will not be called.
func (p *Publisher) Publish(ctx context.Context, m Message, r Receipt) error {
	cost := min(int64(len(m.Data))+slotOverhead, p.cfg.WindowBytes)
	if err := p.window.Acquire(ctx, cost); err != nil {
		return err
	}
	number, held, err := p.take(slot{receipt: r, cost: cost, sent: time.Now()}, m)
	if err != nil {
		p.window.Release(cost)
		return err
	}
	if held {
		return nil // its turn comes
	}
	if err := p.send(m, number); err != nil {
		if _, ok := p.release(number); !ok {
			return nil // expired meanwhile: the receipt has been told
		}
		return fault.Wrap(fault.Unavailable, err, "The message was not stored: the store can't be reached now.")
	}
	return nil
}

// envelope is a NATS message with its header, kept for the next one.
type envelope struct {
	msg nats.Msg
	id  [1]string // the value of the header
}

func newEnvelope() any {
	e := &envelope{}
	e.msg.Header = nats.Header{nats.MsgIdHdr: e.id[:]}
	return e
}

// send puts m into the connection's buffer. The stream answers to the reply subject, where the slot's number is found.
func (p *Publisher) send(m Message, number uint64) error {
	e := p.envelopes.Get().(*envelope)
	defer func() {
		e.msg.Data = nil // or the pool would keep it alive
		p.envelopes.Put(e)
	}()
	subject := make([]byte, 0, 64)
	subject = append(append(subject, p.inbox...), '.')
	e.msg.Subject, e.msg.Data = string(m.Subject), m.Data
	e.msg.Reply = string(strconv.AppendUint(subject, number, 36))
	if m.ID == "" && !p.cfg.Resend {
		return p.conn.NATS().PublishMsg(&nats.Msg{Subject: e.msg.Subject, Reply: e.msg.Reply, Data: m.Data})
	}
	if m.ID == "" {
		e.id[0] = e.msg.Reply // nobody else's
	} else {
		e.id[0] = m.dedupeID(p.secret)
	}
	if m.After != nil || m.TTL > 0 {
		return p.conn.NATS().PublishMsg(&nats.Msg{Subject: e.msg.Subject, Reply: e.msg.Reply, Data: m.Data, Header: m.conditions(e.id[0])})
	}
	return p.conn.NATS().PublishMsg(&e.msg)
}

// conditions returns the header of a message that is not stored like the others.
func (m Message) conditions(id string) nats.Header {
	h := nats.Header{nats.MsgIdHdr: {id}}
	if m.After != nil {
		h[nats.ExpectedLastSubjSeqHdr] = []string{strconv.FormatUint(*m.After, 10)}
	}
	if m.TTL > 0 {
		h[nats.MsgTTLHdr] = []string{strconv.FormatInt(int64(m.TTL/time.Second), 10)}
	}
	return h
}

// Store publishes m and waits for its outcome.
func (p *Publisher) Store(ctx context.Context, m Message) Outcome {
	r := make(waiting, 1)
	if err := p.Publish(ctx, m, r); err != nil {
		return Outcome{Err: err}
	}
	select {
	case o := <-r:
		return o
	case <-ctx.Done():
		return Outcome{Err: unknown(ctx.Err())}
	}
}

// waiting is the Receipt of somebody who waits.
type waiting chan Outcome

// Settle passes the outcome on.
func (w waiting) Settle(o Outcome) { w <- o }

// Flush does nothing: the outcome has been passed on.
func (w waiting) Flush() {}

// take gives m a slot, and returns whether it must wait for what was sent before it.
func (p *Publisher) take(s slot, m Message) (number uint64, held bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, false, fault.New(fault.Unavailable, "The message was not stored: the tenant is being closed.")
	}
	if p.cfg.Resend {
		s.again, held = p.repeatable(m, s.sent)
	}
	p.next++
	p.slots[p.next] = s
	p.committer.underWay.Add(1)
	return p.next, held, nil
}

// release frees a slot and returns it, false when it was freed before: an answer that comes too late finds none.
func (p *Publisher) release(number uint64) (slot, bool) {
	p.mu.Lock()
	s, ok := p.slots[number]
	delete(p.slots, number)
	p.mu.Unlock()
	if ok {
		p.committer.underWay.Add(-1)
		p.window.Release(s.cost)
	}
	return s, ok
}

// answered takes the stream's answer to one message.
func (p *Publisher) answered(m *nats.Msg) {
	number, err := strconv.ParseUint(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], 36, 64)
	if err != nil {
		return // nobody else can publish here
	}
	o := parsePubAck(m)
	if p.cfg.Resend && !p.hear(number, &o) {
		return
	}
	if s, ok := p.release(number); ok {
		p.committer.confirm(s.receipt, o)
	}
}

// expire settles what the stream has not answered in time. It may still store it.
func (p *Publisher) expire(now time.Time) {
	if p.cfg.Resend {
		p.lookForLost(now)
	}
	p.settleUnknown(now.Add(-p.cfg.Timeout), errors.New("the stream did not answer in time"))
}

func (p *Publisher) settleUnknown(before time.Time, cause error) {
	var late []uint64
	p.mu.Lock()
	for number, s := range p.slots {
		if s.sent.Before(before) {
			late = append(late, number)
		}
	}
	p.mu.Unlock()
	for _, number := range late {
		if s, ok := p.release(number); ok {
			p.committer.confirm(s.receipt, Outcome{Err: s.givenUp(cause)})
		}
	}
}

// Close ends the publisher. What the stream has not answered is settled as unknown; Publish fails from now on.
func (p *Publisher) Close() {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	if !again {
		close(p.ended)
	}
	p.jobs.Wait()
	p.committer.remove(p)
	_ = p.sub.Unsubscribe() // fails only when the connection is closed, which ends it as well
	p.settleUnknown(time.Now().Add(time.Hour), errors.New("the publisher was closed"))
}
