package acks

import (
	"context"
	"slices"
	"sync"
	"time"

	"parley/internal/fault"
)

// Outcome is what became of one message.
type Outcome struct {
	Seq       uint64 // its sequence in the tenant's stream; of the first copy when Duplicate
	Duplicate bool   // the same sender sent the same id to the same place before
	Err       error  // nil means stored and on disk. fault.OutcomeUnknown means that nobody can tell.
}

// A Receipt is told the outcome of one message, once. Settle is called from one goroutine for all messages of a node,
// in the order in which the stream took them. When a whole round is settled, Flush is called once for each of its
// messages, so that answers for one client can leave in one piece. Neither may block.
type Receipt interface {
	Settle(Outcome)
	Flush()
}

// expireEvery is how often unanswered messages are looked for.
const expireEvery = 250 * time.Millisecond

// Committer gathers what the streams have confirmed and makes it durable in groups: while one sync runs the next group
// forms, so that the number of syncs follows the disk and not the load. One Committer serves all tenants of a node.
type Committer struct {
	sync func() error
	wake chan struct{}

	mu         sync.Mutex
	confirmed  []settled    // guarded by mu
	publishers []*Publisher // guarded by mu
}

type settled struct {
	receipt Receipt
	outcome Outcome
}

// NewCommitter returns a Committer that calls sync to make everything stored so far durable. When sync fails, the
// messages of that round are settled with fault.OutcomeUnknown.
func NewCommitter(sync func() error) *Committer {
	return &Committer{sync: sync, wake: make(chan struct{}, 1)}
}

// Run commits until ctx ends. What is confirmed by then is still committed.
func (c *Committer) Run(ctx context.Context) error {
	expire := time.NewTicker(expireEvery)
	defer expire.Stop()
	var batch []settled
	for {
		select {
		case <-c.wake:
			batch = c.commit(batch)
		case now := <-expire.C:
			c.expire(now)
		case <-ctx.Done():
			c.commit(batch)
			return nil
		}
	}
}

// confirm takes an outcome that the stream has confirmed. The memory it needs is bounded by the publishers' windows.
func (c *Committer) confirm(r Receipt, o Outcome) {
	c.mu.Lock()
	c.confirmed = append(c.confirmed, settled{r, o})
	first := len(c.confirmed) == 1
	c.mu.Unlock()
	if first {
		select {
		case c.wake <- struct{}{}:
		default:
		}
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
	var failed error
	if stored(batch) {
		if err := c.sync(); err != nil {
			failed = unknown(err)
		}
	}
	for _, s := range batch {
		if failed != nil && s.outcome.Err == nil {
			s.outcome = Outcome{Err: failed}
		}
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
	return slices.ContainsFunc(batch, func(s settled) bool { return s.outcome.Err == nil })
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
