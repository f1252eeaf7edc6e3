package acks

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/fault"
	"parley/tenants"
)

// Outcome is what became of one message.
type Outcome struct {
	Seq       uint64 // its sequence in the tenant's stream; of the first copy when Duplicate
	Unstored  bool   // nothing was to be stored: it was handed to who is there
	Duplicate bool   // the same sender sent the same id to the same place before
	Err       error  // nil means stored and on disk. fault.OutcomeUnknown means that nobody can tell.
}

// A Receipt is told the outcome of one message, once. Settle is called from one goroutine for all messages of a node,
// in the order in which the stream took them. When a whole round is settled, Flush is called once for each of its
// messages, from the same goroutine, so that answers for one client can leave in one piece. Neither may block.
type Receipt interface {
	Settle(Outcome)
	Flush()
}

const (
	// expireEvery is how often unanswered messages are looked for.
	expireEvery = 250 * time.Millisecond
	// maxGather bounds how long a round waits for more messages.
	maxGather = time.Millisecond
)

// Committer gathers what the streams have confirmed and makes it durable in groups: while one sync runs the next group
// forms, so that the number of syncs follows the disk and not the load. A group that is smaller than the last one, or small
// beside what the streams have yet to confirm, waits a moment for more. A message that is alone waits for nobody. One
// Committer serves all tenants of a node.
type Committer struct {
	sync     func() error
	wake     chan struct{}
	enough   chan struct{} // told when as many are confirmed as the round wants
	underWay atomic.Int64  // messages that the streams have not answered yet
	last     int           // how many the last round settled; owned by Run
	counts   counts

	mu         sync.Mutex
	confirmed  []settled    // guarded by mu
	wanted     int          // how many the round waits for, 0 when it does not; guarded by mu
	publishers []*Publisher // guarded by mu
}

type settled struct {
	receipt Receipt
	outcome Outcome
	meter   *tenants.Meter
	bytes   int       // of the message
	sent    time.Time // when it was handed over
}

// NewCommitter returns a Committer that calls sync to make everything stored so far durable. When sync fails, the
// messages of that round are settled with fault.OutcomeUnknown.
func NewCommitter(sync func() error) *Committer {
	return &Committer{sync: sync, wake: make(chan struct{}, 1), enough: make(chan struct{}, 1), counts: newCounts()}
}

// Run commits until ctx ends. What is confirmed by then is still committed.
func (c *Committer) Run(ctx context.Context) error {
	expire := time.NewTicker(expireEvery)
	defer expire.Stop()
	var batch []settled
	for {
		select {
		case <-c.wake:
			c.gather(ctx)
			batch = c.commit(batch)
		case now := <-expire.C:
			c.expire(now)
		case <-ctx.Done():
			c.commit(batch)
			return nil
		}
	}
}

// confirm takes outcomes that the streams have confirmed. The memory it needs is bounded by the publishers' windows.
func (c *Committer) confirm(all ...settled) {
	if len(all) == 0 {
		return
	}
	c.mu.Lock()
	before := len(c.confirmed)
	c.confirmed = append(c.confirmed, all...)
	enough := before < c.wanted && c.wanted <= len(c.confirmed)
	c.mu.Unlock()
	if before == 0 {
		nudge(c.wake)
	}
	if enough {
		nudge(c.enough)
	}
}

func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// gather waits until as many have arrived as the last round settled, and half of what is under way. Each round costs a
// sync, and a system call for each client in it. Clients that wait for their answers keep a round as large as they are
// many, and none waits in vain; those that do not wait make each round larger than the last, up to what comes in maxGather.
func (c *Committer) gather(ctx context.Context) {
	c.mu.Lock()
	here := len(c.confirmed)
	want := max(c.last, (here+int(c.underWay.Load())+1)/2)
	if here >= want {
		c.mu.Unlock()
		return
	}
	c.wanted = want
	c.mu.Unlock()
	late := time.NewTimer(maxGather)
	defer late.Stop()
	select {
	case <-c.enough:
	case <-late.C:
	case <-ctx.Done():
	}
	c.mu.Lock()
	c.wanted = 0
	c.mu.Unlock()
	select { // it may have come at the last moment
	case <-c.enough:
	default:
	}
}

// commit settles what is confirmed now and returns its emptied slice for reuse.
func (c *Committer) commit(spare []settled) []settled {
	c.mu.Lock()
	batch := c.confirmed
	c.confirmed = spare[:0]
	c.mu.Unlock()
	if len(batch) == 0 {
		return batch
	}
	c.last = len(batch)
	var failed error
	if stored(batch) {
		if err := c.timedSync(); err != nil {
			failed = unknown(err)
		}
	}
	now := time.Now()
	for _, s := range batch {
		if failed != nil && s.outcome.Err == nil {
			s.outcome = Outcome{Err: failed}
		}
		c.counts.add(s, now)
		s.receipt.Settle(s.outcome)
	}
	for i, s := range batch {
		s.receipt.Flush()
		batch[i] = settled{}
	}
	return batch
}

// stored reports whether any outcome of the batch needs the disk.
func stored(batch []settled) bool {
	return slices.ContainsFunc(batch, func(s settled) bool { return s.outcome.Err == nil && !s.outcome.Unstored })
}

func (c *Committer) expire(now time.Time) {
	c.mu.Lock()
	all := slices.Clone(c.publishers)
	c.mu.Unlock()
	for _, p := range all {
		p.expire(now)
	}
}

func (c *Committer) add(p *Publisher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.publishers = append(c.publishers, p)
}

func (c *Committer) remove(p *Publisher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.publishers = slices.DeleteFunc(c.publishers, func(q *Publisher) bool { return q == p })
}

func unknown(cause error) error {
	return fault.Wrap(fault.OutcomeUnknown, cause, "It is not known whether the message was stored.").
		WithFix("Send it again with the same id: it will be stored once.")
}
