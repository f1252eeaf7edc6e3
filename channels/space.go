package channels

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"parley/acks"
	"parley/broker"
	"parley/internal/fault"
	"parley/quota"
	"parley/tenants"
)

// openWithin bounds what a first user of a tenant or topic waits for.
const openWithin = 5 * time.Second

// retryAfter is how long a failed read waits before it is tried again.
const retryAfter = time.Second

// Space is a tenant's part of a Hub: its connection, its topics and its roster. Open gives it out, Release takes it back.
type Space struct {
	hub     *Hub
	tenant  tenants.ID
	account broker.AccountID
	ready   chan struct{} // closed when open has ended; the fields below are set before
	err     error
	conn    *broker.Conn
	link    broker.Link // of conn
	publish *acks.Publisher
	roster  *roster
	quota   *quota.Tenant // nil when nothing is limited
	names   channelNames
	lanes   []*lane         // where live copies are left, by shard
	mail    *broker.LinkSub // the live copies of all inboxes
	feed    *feed           // nil where the streams make copies
	unhook  func()
	bases   bases

	life context.Context // ends when the space closes
	end  context.CancelFunc
	jobs sync.WaitGroup // the roster's goroutine

	policies atomic.Pointer[tenants.Policies] // nil means none

	refs int       // guarded by hub.mu
	idle time.Time // when refs last became 0; guarded by hub.mu

	mu     sync.Mutex
	topics map[broker.Subject]*topic // guarded by mu
	closed bool                      // guarded by mu
}

func newSpace(h *Hub, tenant tenants.ID, account broker.AccountID) *Space {
	s := &Space{hub: h, tenant: tenant, account: account, ready: make(chan struct{}), topics: map[broker.Subject]*topic{}}
	if h.cfg.Quota != nil {
		s.quota = h.cfg.Quota.Tenant(tenant)
	}
	for _, shard := range h.shards {
		s.lanes = append(s.lanes, &lane{in: shard.live, space: s})
	}
	s.life, s.end = context.WithCancel(h.life)
	return s
}

// open connects to the account and makes its streams. On an error it leaves nothing behind.
func (s *Space) open(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	if s.conn, err = s.hub.engine.Acquire(ctx, s.account); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.conn.Release()
		}
	}()
	if s.link, err = s.conn.Link(); err != nil {
		return unreachable(err)
	}
	if err := s.openStreams(ctx); err != nil {
		return err
	}
	if err := s.openFeed(ctx); err != nil {
		return errors.Join(err, s.roster.watch.Stop())
	}
	if policies := s.hub.cfg.Policies; policies != nil {
		all := policies(s.tenant)
		s.policies.Store(&all)
	}
	cfg := s.hub.cfg.Publish
	cfg.Meter = s.hub.cfg.Meters.Of(s.account)
	if s.feed != nil {
		cfg.Follower = s.feed
	}
	if s.quota != nil {
		cfg.Full = s.quota.StorageFull
	}
	if s.publish, err = acks.NewPublisher(s.conn, s.hub.committer, cfg); err != nil {
		return errors.Join(err, s.roster.watch.Stop())
	}
	if err = s.listen(ctx); err != nil {
		s.publish.Close()
		return errors.Join(err, s.roster.watch.Stop())
	}
	s.unhook = s.conn.OnLoss(s.recheck)
	s.jobs.Go(func() { s.roster.run(s.life) })
	return nil
}

// openStreams opens the streams and the roster at the same time: in a cluster each new one elects a leader.
func (s *Space) openStreams(ctx context.Context) error {
	var channels, inboxes, state error
	var opening sync.WaitGroup
	opening.Go(func() { channels = s.conn.Ensure(ctx, broker.Channels) })
	opening.Go(func() { inboxes = s.conn.Ensure(ctx, broker.Inboxes) })
	s.roster, state = newRoster(ctx, s)
	opening.Wait()
	err := errors.Join(channels, inboxes, state)
	if err != nil && state == nil {
		return errors.Join(err, s.roster.watch.Stop())
	}
	return err
}

// listen subscribes to the live copies of all inboxes, and returns when the subscription stands. One of its own for each
// inbox would cost more than the rest of an idle agent.
func (s *Space) listen(ctx context.Context) (err error) {
	shard := s.hub.shardOf(Address{Tenant: s.tenant})
	if s.mail, err = s.link.Subscribe(string(broker.AgentSubject("*").Live()), s.lanes[shard.number]); err != nil {
		return unreachable(err)
	}
	if err := s.link.Flush(ctx); err != nil {
		s.link.Unsubscribe(s.mail)
		return unreachable(err)
	}
	return nil
}

// Release gives the space back. It must be called once for each Open that succeeded.
func (s *Space) Release() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.refs--
	if s.refs == 0 {
		s.idle = time.Now()
	}
}

// close ends the space: its topics first, so that no shard works for it any more and all positions are known.
func (s *Space) close() {
	<-s.ready
	if s.err != nil {
		return
	}
	s.mu.Lock()
	s.closed = true
	all := s.topics
	s.topics = nil
	s.mu.Unlock()
	for _, t := range all {
		<-t.ready
		if t.err == nil {
			t.end()
		}
	}
	s.link.Unsubscribe(s.mail)
	s.unhook()
	s.end() // the roster writes what the topics have left it, and ends
	s.jobs.Wait()
	s.publish.Close()
	s.conn.Release()
}

// end shuts the topic and waits until its shard has done so.
func (t *topic) end() {
	shut := make(chan struct{})
	if !t.shard.do(func() { t.saveTaken(); t.shut(); close(shut) }) {
		return
	}
	select {
	case <-shut:
	case <-t.shard.done:
	}
}

// Subscribe notes a place in an address, so that nothing published from now on is missed, and returns it. Nothing is
// delivered before Subscription.Start. The caller closes it.
func (s *Space) Subscribe(ctx context.Context, to Address, opts SubscribeOptions) (*Subscription, error) {
	t, err := s.topic(ctx, to)
	if err != nil {
		return nil, err
	}
	sub := &Subscription{topic: t, opts: opts}
	place := make(chan uint64, 1)
	t.shard.do(func() { place <- t.last })
	select {
	case sub.place = <-place:
		return sub, nil
	case <-t.shard.done:
		err = fault.New(fault.Draining, "The broker is shutting down.")
	case <-ctx.Done():
		err = unreachable(ctx.Err())
	}
	s.leave(t)
	return nil, err
}

// topic returns the topic of an address with one more reference, opening it when it is not open.
func (s *Space) topic(ctx context.Context, to Address) (*topic, error) {
	if err := to.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, fault.New(fault.Unavailable, "The tenant is being closed.")
	}
	t := s.topics[to.Subject()]
	first := t == nil
	if first {
		t = &topic{space: s, shard: s.hub.shardOf(to), addr: to, ready: make(chan struct{}), repairing: true}
		s.topics[to.Subject()] = t
	}
	t.refs++
	s.mu.Unlock()
	if first {
		if t.err = t.open(s.life); t.err != nil {
			s.mu.Lock()
			if s.topics[to.Subject()] == t {
				delete(s.topics, to.Subject())
			}
			s.mu.Unlock()
		}
		close(t.ready)
	}
	select {
	case <-t.ready:
		return t, t.err
	case <-ctx.Done():
		s.leave(t)
		return nil, unreachable(ctx.Err())
	}
}

// leave takes a reference to a topic back.
func (s *Space) leave(t *topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.refs--
	if t.refs == 0 {
		t.idle = time.Now()
	}
}

// sweep ends the topics that nobody has used since the given time.
func (s *Space) sweep(since time.Time) {
	var idle []*topic
	s.mu.Lock()
	for subject, t := range s.topics {
		if t.refs == 0 && t.idle.Before(since) {
			idle = append(idle, t)
			delete(s.topics, subject)
		}
	}
	s.mu.Unlock()
	for _, t := range idle {
		t.end()
	}
}

// recheck makes every topic look for what it may have missed.
func (s *Space) recheck() {
	s.mu.Lock()
	all := make([]*topic, 0, len(s.topics))
	for _, t := range s.topics {
		all = append(all, t)
	}
	s.mu.Unlock()
	if len(all) == 0 {
		return
	}
	if s.hub.engine.Clustered() {
		s.hub.lookAt(time.Now(), all...)
		return
	}
	s.hub.task(func() {
		for _, t := range all {
			t.shard.do(t.recheck)
		}
	})
}

// pause waits before a read is tried again, and reports whether that still makes sense.
func (s *Space) pause() bool {
	select {
	case <-time.After(retryAfter):
		return true
	case <-s.life.Done():
		return false
	}
}

// Publish hands m to the tenant's stream; r learns what became of it. It waits while too much is on its way already. An
// error means that nothing was stored and r will not be called. What the channel's policy says is obeyed: errors are
// fault.PermissionDenied, too, and in an ephemeral channel m goes to who is there, and the outcome is Unstored.
func (s *Space) Publish(ctx context.Context, m Message, r acks.Receipt) error {
	if err := m.To.check(); err != nil {
		return err
	}
	ttl, ephemeral, err := s.obey(m)
	if err != nil {
		return err
	}
	if ephemeral {
		return s.pass(m, m.encode(), r)
	}
	if err := s.hub.engine.Check(); err != nil {
		s.hub.committer.Refused(err)
		return err
	}
	if err := s.mayHold(ctx, m.To.Channel); err != nil {
		return err
	}
	return s.publish.Publish(ctx, acks.Message{Subject: m.To.Subject(), Sender: m.Sender, ID: m.ID, Data: m.encode(), TTL: ttl, Trace: m.Trace}, r)
}

func unreachable(err error) error {
	return fault.Wrap(fault.Unavailable, err, "The tenant can't be reached now.")
}
