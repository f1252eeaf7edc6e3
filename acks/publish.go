package acks

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

// Config tunes a Publisher. The zero value is ready to use.
type Config struct {
	WindowBytes int64         // bytes on their way to the stream at most; a publisher waits beyond. Defaults to 8 MiB.
	Timeout     time.Duration // how long the stream may take. Defaults to 4 s: the published clients give up after 5.
	Resend      bool          // send again what the stream leaves unanswered: in a cluster its leader may be lost.

	Follower Follower // hears what is stored. Not with Resend, whose answers come in any order. Nil means that nobody hears it.

	Meter *tenants.Meter // counts what is stored for the tenant. Nil means that nobody wants to know.
	Full  func()         // called for each message that the tenant's storage has no room for; must not wait. Nil means that nobody wants to know.
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
	if c.Meter == nil {
		c.Meter = new(tenants.Meter)
	}
	if c.Full == nil {
		c.Full = func() {}
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
	Trace string        // the traceparent that is stored with it. Zero means none.
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
	committer *Committer
	link      broker.Link
	inbox     string          // where the streams answer
	sub       *broker.LinkSub // to it
	window    *semaphore.Weighted
	secret    []byte // for dedupeID

	mu     sync.Mutex
	next   uint64           // guarded by mu
	free   []uint64         // numbers that were answered and may be used again; guarded by mu
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
	bytes   int // of the message
	sent    time.Time
	again   *repeatable // nil without Config.Resend
	news    Stored      // what the Follower will hear; zero without one
}

// NewPublisher returns a Publisher on conn, which stays the caller's.
func NewPublisher(conn *broker.Conn, committer *Committer, cfg Config) (*Publisher, error) {
	cfg = cfg.withDefaults()
	secret, err := conn.Secret()
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		cfg: cfg, committer: committer, secret: secret, inbox: conn.NATS().NewInbox(),
		window: semaphore.NewWeighted(cfg.WindowBytes), slots: map[uint64]slot{},
		lanes: map[string]*lane{}, ended: make(chan struct{}),
	}
	if p.link, err = conn.Link(); err == nil {
		p.sub, err = p.link.Subscribe(p.inbox+".*", &answers{publisher: p})
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The tenant can't be reached now.")
	}
	committer.add(p)
	return p, nil
}

// Publish hands m to the stream and returns; r learns the outcome. It waits while the window is full. An error means
// that nothing was sent and r will not be called.
func (p *Publisher) Publish(ctx context.Context, m Message, r Receipt) error {
	cost := p.cost(m)
	if err := p.window.Acquire(ctx, cost); err != nil {
		return err
	}
	return p.hand(m, r, cost)
}

// TryPublish is Publish for those who must not wait: it reports false when nothing was sent, because the window is full or
// because of anything else. Without Config.Resend and Config.Follower, m's data is the caller's again when it returns.
func (p *Publisher) TryPublish(m Message, r Receipt) bool {
	cost := p.cost(m)
	return p.window.TryAcquire(cost) && p.hand(m, r, cost) == nil
}

// cost is what a message takes of the window.
func (p *Publisher) cost(m Message) int64 {
	return min(int64(len(m.Data))+slotOverhead, p.cfg.WindowBytes)
}

// hand sends a message for which there is room in the window.
func (p *Publisher) hand(m Message, r Receipt, cost int64) error {
	s := slot{receipt: r, cost: cost, bytes: len(m.Data), sent: time.Now()}
	if p.cfg.Follower != nil {
		s.news = Stored{Subject: m.Subject, Data: m.Data}
	}
	number, held, err := p.take(s, m)
	if err != nil {
		p.window.Release(cost)
		return err
	}
	if held {
		return nil // its turn comes
	}
	if err := p.send(m, number); err != nil {
		if _, ok := p.release(number, false); !ok {
			return nil // expired meanwhile: the receipt has been told
		}
		return fault.Wrap(fault.Unavailable, err, "The message was not stored: the store can't be reached now.")
	}
	return nil
}

// Pass hands m to those who listen now, without storing it: on its subject, and a copy on live, for the nodes. An error
// means that nothing was sent and r will not be called. It does not wait: its callers bound how much is on its way.
func (p *Publisher) Pass(m Message, live broker.Subject, r Receipt) error {
	err := p.link.Publish(broker.Departure{Subject: m.Subject, Data: m.Data, Unstored: true})
	if err == nil {
		err = p.link.Publish(broker.Departure{Subject: live, Data: m.Data})
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The message was not sent: the tenant can't be reached now.")
	}
	p.committer.confirm(settled{r, Outcome{Unstored: true}, p.cfg.Meter, len(m.Data), time.Now()})
	return nil
}

// send puts m into the link's buffer. The stream's answer names the slot.
func (p *Publisher) send(m Message, number uint64) error {
	d := broker.Departure{Subject: m.Subject, Inbox: p.inbox, Number: number, Data: m.Data, After: m.After, TTL: m.TTL, Trace: m.Trace}
	switch {
	case m.ID != "":
		d.MsgID = m.dedupeID(p.secret)
	case p.cfg.Resend:
		d.MsgID = p.inbox + "." + strconv.FormatUint(number, 36) // nobody else's
	}
	return p.link.Publish(d)
}

// Store publishes m and waits for its outcome.
func (p *Publisher) Store(ctx context.Context, m Message) Outcome {
	r := make(waiting, 1)
	if err := p.Publish(ctx, m, r); err != nil {
		return Outcome{Err: err}
	}
	if ctx.Done() == nil { // which is cheaper than to wait for two
		return <-r
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
	if last := len(p.free) - 1; last >= 0 {
		number, p.free = p.free[last], p.free[:last]
	} else {
		p.next++
		number = p.next
	}
	p.slots[number] = s
	p.committer.underWay.Add(1)
	return number, held, nil
}

// release frees a slot and returns it, false when it was freed before: an answer that comes too late finds none. The number
// of a message that the stream has answered is used again, because a subject that the server has seen lately costs it less.
// One that may still be answered is not.
func (p *Publisher) release(number uint64, answered bool) (slot, bool) {
	p.mu.Lock()
	s, ok := p.slots[number]
	delete(p.slots, number)
	if ok && answered && !p.cfg.Resend { // what is sent again is answered again
		p.free = append(p.free, number)
	}
	p.mu.Unlock()
	if ok {
		p.committer.underWay.Add(-1)
		p.window.Release(s.cost)
	}
	return s, ok
}

// settledAs gives the committer what became of a slot's message.
func (p *Publisher) settledAs(s slot, o Outcome) settled {
	return settled{s.receipt, o, p.cfg.Meter, s.bytes, s.sent}
}

// answers takes what the streams say of a publisher's messages, and has the committer act on all that came together.
type answers struct {
	publisher *Publisher
	settled   []settled
}

// Take implements broker.Taker.
func (a *answers) Take(m *broker.Arrival) {
	number, ok := m.Number()
	if !ok {
		return // nobody else can publish here
	}
	p, o := a.publisher, parsePubAck(m)
	if p.cfg.Resend && !p.hear(number, &o) {
		return
	}
	s, ok := p.release(number, true)
	if p.cfg.Follower != nil {
		p.tell(s, o, ok)
	}
	if ok {
		if o.Err != nil && fault.CodeOf(o.Err) == fault.StorageFull {
			p.cfg.Full()
		}
		a.settled = append(a.settled, p.settledAs(s, o))
	}
}

// Pause implements broker.Taker.
func (a *answers) Pause() {
	if f := a.publisher.cfg.Follower; f != nil {
		f.Pause()
	}
	a.publisher.committer.confirm(a.settled...)
	clear(a.settled)
	a.settled = a.settled[:0]
}

// expire settles what the stream has not answered in time. It may still store it.
func (p *Publisher) expire(now time.Time) {
	if p.cfg.Resend {
		p.lookForLost(now)
	}
	if late := p.settleUnknown(now.Add(-p.cfg.Timeout), errors.New("the stream did not answer in time")); late > 0 && p.cfg.Follower != nil {
		p.cfg.Follower.Lost()
	}
}

// settleUnknown gives up what was sent before a time, and returns how much that is.
func (p *Publisher) settleUnknown(before time.Time, cause error) int {
	var late []uint64
	p.mu.Lock()
	for number, s := range p.slots {
		if s.sent.Before(before) {
			late = append(late, number)
		}
	}
	p.mu.Unlock()
	for _, number := range late {
		if s, ok := p.release(number, false); ok {
			p.committer.confirm(p.settledAs(s, Outcome{Err: s.givenUp(cause)}))
		}
	}
	return len(late)
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
	p.link.Unsubscribe(p.sub)
	p.settleUnknown(time.Now().Add(time.Hour), errors.New("the publisher was closed"))
}
