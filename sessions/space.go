package sessions

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/acks"
	"parley/broker"
	"parley/internal/fault"
	"parley/quota"
	"parley/tenants"
)

// space is one tenant's part of a Hub: its connection, and the sessions that are used here.
type space struct {
	hub     *Hub
	account broker.AccountID
	meter   *tenants.Meter
	quota   *quota.Tenant // nil when nothing is limited
	conn    *broker.Conn
	link    broker.Link
	publish *acks.Publisher
	records jetstream.KeyValue
	subs    []*nats.Subscription
	runs    *broker.LinkSub // to what workers send, where no other node does
	unhook  func()

	life context.Context // ends when the space closes
	end  context.CancelFunc
	jobs sync.WaitGroup // everything that the space has started

	round []*piece // settled in this round of commits; touched by the committer only

	serving chan struct{} // holds a token for each thing that is being done for a service

	mu      sync.Mutex
	watches map[broker.Token]*watch    // guarded by mu
	writers map[broker.Token]*writer   // guarded by mu
	remote  map[broker.Token]time.Time // sessions that another node was found to write, and when; guarded by mu
	closed  bool                       // guarded by mu
}

// gateways is the group in which the nodes share what services and workers send.
const gateways = "gateways"

// openSpace connects to an account. The space lives no longer than ctx.
func (h *Hub) openSpace(ctx context.Context, account broker.AccountID) (*space, error) {
	s := newSpace(ctx, h, account)
	if err := s.open(ctx); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

func newSpace(ctx context.Context, h *Hub, account broker.AccountID) *space {
	s := &space{
		hub: h, account: account, meter: h.cfg.Meters.Of(account),
		watches: map[broker.Token]*watch{}, writers: map[broker.Token]*writer{}, remote: map[broker.Token]time.Time{},
		serving: make(chan struct{}, maxServing),
	}
	if h.cfg.Quota != nil {
		s.quota = h.cfg.Quota(account)
	}
	s.life, s.end = context.WithCancel(ctx)
	return s
}

// open connects to the account. On an error it leaves nothing behind.
func (s *space) open(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	if s.conn, err = s.hub.engine.Acquire(ctx, s.account); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.unsubscribe()
			if s.publish != nil {
				s.publish.Close()
			}
			s.conn.Release()
		}
	}()
	if err = s.conn.Ensure(ctx, broker.Sessions); err != nil {
		return err
	}
	if s.records, err = s.conn.Bucket(ctx, broker.SessionsBucket); err != nil {
		return err
	}
	if s.link, err = s.conn.Link(); err != nil {
		return unreachable(err)
	}
	cfg := acks.Config{Resend: s.hub.engine.Clustered(), Meter: s.meter}
	if s.quota != nil {
		cfg.Full = s.quota.StorageFull
	}
	if s.publish, err = acks.NewPublisher(s.conn, s.hub.committer, cfg); err != nil {
		return err
	}
	// Last, because workers that answer something already do not wait.
	if err = s.subscribe(ctx); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The tenant can't be reached now.")
	}
	s.unhook = s.conn.OnLoss(s.recheck)
	return nil
}

// subscribe listens to the logs, to workers and to services, and returns when all subscriptions stand.
func (s *space) subscribe(ctx context.Context) error {
	type listener struct {
		subject broker.Subject
		group   string
		handle  nats.MsgHandler
	}
	all := []listener{
		{broker.SessionTyping("*"), "", s.live},
		{broker.SessionDeleted("*"), "", s.live},
		{broker.SessionDo("*", "*"), gateways, s.serve},
	}
	if s.hub.engine.Clustered() {
		all = append(all, listener{broker.SessionRun("*"), gateways, s.takeOutput}, listener{broker.SessionLog("*").Live(), "", s.live})
	}
	nc := s.conn.NATS()
	for _, to := range all {
		sub, err := nc.QueueSubscribe(string(to.subject), to.group, to.handle)
		if err != nil {
			return err
		}
		s.subs = append(s.subs, sub)
	}
	if err := nc.FlushWithContext(ctx); err != nil || s.hub.engine.Clustered() {
		return err
	}
	var err error
	if s.runs, err = s.link.Subscribe(string(broker.SessionRun("*")), &runs{space: s}); err != nil {
		return err
	}
	return s.link.Flush(ctx)
}

func (s *space) unsubscribe() {
	if s.runs != nil {
		s.link.Unsubscribe(s.runs)
	}
	for _, sub := range s.subs {
		_ = sub.Unsubscribe() // fails only when the connection is closed, which ends it as well
	}
}

// close ends the space: nothing more is taken, what is being stored is finished, and all followers are told.
func (s *space) close() {
	s.unsubscribe()
	s.unhook()
	s.mu.Lock()
	s.closed = true
	watches := slices.Collect(maps.Values(s.watches)) // those who stop following take theirs out
	s.mu.Unlock()
	s.end()
	s.jobs.Wait()
	for _, w := range watches {
		w.lose(errClosed())
	}
	s.publish.Close()
	s.conn.Release()
}

// start runs f on a goroutine that close waits for. It reports false when the space is closed already.
func (s *space) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.jobs.Go(f)
	return true
}

// live takes a message about a session that somebody here may follow.
func (s *space) live(m *nats.Msg) {
	id, what, ok := broker.Subject(m.Subject).Session()
	if !ok {
		return
	}
	w := s.watched(id)
	if w == nil {
		return
	}
	switch what {
	case "log":
		w.live(m)
	case "typing":
		w.typing(m)
	case "deleted":
		w.lose(noSession(string(id)))
	}
}

// watched returns the watch of a session that somebody here follows, or nil.
func (s *space) watched(id broker.Token) *watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches[id]
}

// recheck is called when something may have been missed.
func (s *space) recheck() {
	s.start(func() {
		s.mu.Lock()
		all := make([]*watch, 0, len(s.watches))
		for _, w := range s.watches {
			all = append(all, w)
		}
		clear(s.remote)
		s.mu.Unlock()
		for _, w := range all {
			w.recheck()
		}
	})
}

// pause waits, or until the space closes.
func (s *space) pause(d time.Duration) {
	select {
	case <-s.life.Done():
	case <-time.After(d):
	}
}

// record reads a value of the tenant's bucket, nil when there is none.
func (s *space) record(ctx context.Context, key string) ([]byte, error) {
	entry, err := s.records.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return nil, nil
	case err != nil:
		return nil, fault.Wrap(fault.Unavailable, err, "The tenant's store can't be reached now.")
	}
	return entry.Value(), nil
}
