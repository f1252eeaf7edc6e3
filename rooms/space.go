package rooms

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
	"parley/quota"
)

const (
	openWithin = 10 * time.Second
	// tickEvery is how often a space looks for signals that were not taken and for participants that do not come back.
	tickEvery = 500 * time.Millisecond
	// gateways is the group in which the nodes share what services ask for.
	gateways = "gateways"
)

// space is one tenant's part of a Hub: its connection, and all its rooms.
type space struct {
	hub     *Hub
	account broker.AccountID
	quota   *quota.Tenant // nil when nothing is limited
	conn    *broker.Conn
	kv      jetstream.KeyValue
	secret  []byte // of the resume tokens
	watch   jetstream.KeyWatcher
	subs    []*nats.Subscription

	life context.Context // ends when the space closes
	end  context.CancelFunc
	jobs sync.WaitGroup // everything that the space has started
	wake chan struct{}  // holds one value when run is to look for the dead

	serving chan struct{} // holds a token for each thing that is being done for a service

	tick    atomic.Uint32 // counts run's ticks: a clock that costs nothing
	present atomic.Int64  // participants in all rooms
	exist   atomic.Int64  // rooms that are not void

	mu     sync.Mutex
	rooms  map[broker.Token]*room // guarded by mu
	closed bool                   // guarded by mu
}

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
		hub: h, account: account, wake: make(chan struct{}, 1),
		rooms: map[broker.Token]*room{}, serving: make(chan struct{}, maxServing),
	}
	if h.cfg.Quota != nil {
		s.quota = h.cfg.Quota(account)
	}
	s.life, s.end = context.WithCancel(ctx)
	return s
}

// known reports whether a tenant has ever had rooms.
func (h *Hub) known(ctx context.Context, account broker.AccountID) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	conn, err := h.engine.Acquire(ctx, account)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	return conn.HasBucket(ctx, broker.RoomsBucket)
}

// open connects to the account and reads its rooms. On an error it leaves nothing behind.
func (s *space) open(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	if s.conn, err = s.hub.engine.Acquire(ctx, s.account); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.end() // which ends the jobs
			s.unsubscribe()
			if s.watch != nil {
				broker.EndWatch(s.watch)
			}
			s.jobs.Wait()
			s.conn.Release()
		}
	}()
	if s.secret, err = s.conn.Secret(); err != nil {
		return err
	}
	if s.kv, err = s.conn.Bucket(ctx, broker.RoomsBucket); err != nil {
		return err
	}
	if err = s.subscribe(ctx); err != nil {
		return unreachable(err)
	}
	if err = s.readAll(ctx); err != nil {
		return unreachable(err)
	}
	if !s.hub.engine.Clustered() {
		now := time.Now()
		for _, r := range s.all() { // what the run before has left for too long is not to be seen by anybody
			if r.look(now) {
				r.tidy(ctx, now)
			}
		}
	}
	s.jobs.Go(func() { s.run(s.life) })
	return nil
}

// readAll reads the rooms that there are, and leaves a watch on them where others may change them.
func (s *space) readAll(ctx context.Context) (err error) {
	if s.watch, err = s.kv.WatchAll(s.life); err != nil {
		return err
	}
	for {
		select {
		case entry, ok := <-s.watch.Updates():
			switch {
			case !ok:
				return nats.ErrConnectionClosed
			case entry != nil:
				s.see(entry)
				continue
			}
			if !s.hub.engine.Clustered() {
				broker.EndWatch(s.watch)
				s.watch = nil
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// subscribe listens to the other nodes and to services, and returns when the subscriptions stand.
func (s *space) subscribe(ctx context.Context) error {
	nc := s.conn.NATS()
	sub, err := nc.QueueSubscribe(string(broker.RoomDo("*", "*")), gateways, s.serve)
	if err != nil {
		return err
	}
	s.subs = append(s.subs, sub)
	if s.hub.engine.Clustered() {
		if sub, err = nc.Subscribe(string(broker.RoomGateway("*", s.hub.engine.Node())), s.take); err != nil {
			return err
		}
		s.subs = append(s.subs, sub)
	}
	return nc.FlushWithContext(ctx)
}

func (s *space) unsubscribe() {
	for _, sub := range s.subs {
		_ = sub.Unsubscribe() // fails only when the connection is closed, which ends it as well
	}
}

// close ends the space. The connections are told nothing: they are closed by whoever closes the space.
func (s *space) close() {
	s.unsubscribe()
	s.mu.Lock()
	s.closed = true
	all := s.rooms
	s.mu.Unlock()
	s.end()
	for _, r := range all {
		r.abandon()
	}
	s.jobs.Wait()
	s.conn.Release()
}

// start runs f on a goroutine that close waits for. It does nothing when the space is closed already.
func (s *space) start(f func(context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.jobs.Go(func() { f(s.life) })
	}
}

// idle reports whether the tenant has no rooms.
func (s *space) idle() bool { return s.exist.Load() == 0 }

func (s *space) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run takes in what has changed on other nodes, and tidies up, until ctx ends.
func (s *space) run(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	var updates <-chan jetstream.KeyValueEntry
	if s.watch != nil {
		updates = s.watch.Updates()
		defer func() { broker.EndWatch(s.watch) }()
	}
	losses, stop := s.conn.Losses()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case entry, ok := <-updates:
			if !ok {
				updates = nil // the connection has ended, and ctx does soon
			} else if entry != nil {
				s.see(entry)
			}
		case <-losses:
			if s.watch != nil {
				s.watch = broker.Rewatch(ctx, s.kv, ">", s.watch, s.jobs.Go)
				updates = s.watch.Updates()
			}
		case <-s.wake:
			s.look(time.Now())
		case now := <-tick.C:
			s.tick.Add(1)
			s.look(now)
		}
	}
}

// see takes in what the bucket says of a room.
func (s *space) see(entry jetstream.KeyValueEntry) {
	id, err := broker.ParseToken(entry.Key())
	if err != nil {
		return
	}
	var rec *record
	if entry.Operation() == jetstream.KeyValuePut {
		if rec, err = decodeRecord(entry.Value()); err != nil {
			s.hub.log.Warn("unreadable room", "room", id, "err", err)
			return
		}
	}
	r := s.use(id)
	r.apply(rec, entry.Revision())
	s.done(r)
}

// use returns the room with an id, which need not exist. It stays the one of this id until done is called.
func (s *space) use(id broker.Token) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[id]
	if r == nil {
		r = newRoom(s, id)
		s.rooms[id] = r
	}
	r.users++
	return r
}

// done undoes use. A room that does not exist is forgotten.
func (s *space) done(r *room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.users--; r.users > 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rec == nil && len(r.seats) == 0 {
		delete(s.rooms, r.id)
	}
}

func (s *space) ending() bool { return s.life.Err() != nil }

// all returns the rooms that are known here, in no order.
func (s *space) all() []*room {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*room, 0, len(s.rooms))
	for _, r := range s.rooms {
		all = append(all, r)
	}
	return all
}

// look tidies up all rooms.
func (s *space) look(now time.Time) {
	for _, r := range s.all() {
		if r.look(now) {
			r.tidyLater(now)
		}
	}
}

func noRoom(id broker.Token) error {
	return fault.New(fault.NotFound, "There is no room %q.", id)
}
