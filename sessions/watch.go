package sessions

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"parley/broker"
	"parley/internal/fault"
)

// watch is this node's view of one session, for all its followers here. It is fed by the session's writer or, where that
// may be on another node, with the live copies of the log; what it has missed it reads from the store.
type watch struct {
	space *space
	id    broker.Token
	ready chan struct{} // closed when the log was read for the first time; the fields below are set before
	err   error
	info  Info

	refs int // guarded by space.mu

	mu        sync.Mutex
	fold      fold         // guarded by mu
	reading   bool         // the log is being read: what comes live is only noted; guarded by mu
	newest    uint64       // the highest index that came live meanwhile; guarded by mu
	followers []*Following // guarded by mu
	lost      bool         // the session was deleted, or its tenant is gone; guarded by mu
}

// Following is a Follower's place in a session.
type Following struct {
	watch    *watch
	follower Follower
}

// Close ends the following. Nothing is delivered after it has returned. Never call it from a Follower's method.
func (f *Following) Close() {
	w := f.watch
	w.mu.Lock()
	w.followers = slices.DeleteFunc(w.followers, func(other *Following) bool { return other == f })
	w.mu.Unlock()
	w.space.unwatch(w)
}

// Follow tells f everything that happens in a session from now on, beginning with a Snapshot. Errors are fault.NotFound
// and Unavailable. The caller closes the Following.
func (h *Hub) Follow(ctx context.Context, p Principal, id string, f Follower) (*Following, error) {
	s, sid, err := h.enter(ctx, p, id)
	if err != nil {
		return nil, err
	}
	w, err := s.watch(ctx, sid)
	if err != nil {
		return nil, err
	}
	if !p.mayUse(w.info) {
		s.unwatch(w)
		return nil, noSession(id)
	}
	following := &Following{w, f}
	w.mu.Lock()
	f.Begin(w.fold.snapshot(w.info))
	w.followers = append(w.followers, following)
	unfinished := w.fold.unfinished()
	w.mu.Unlock()
	if unfinished {
		s.wake(sid)
	}
	return following, nil
}

// unfinished reports whether somebody must see to it that an answer comes.
func (f *fold) unfinished() bool {
	return !f.state.Closed && f.state.Mode != ByHuman && len(f.state.Pending) > 0
}

// watch returns the watch of a session, which the caller gives back with unwatch.
func (s *space) watch(ctx context.Context, id broker.Token) (*watch, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed()
	}
	w := s.watches[id]
	if w == nil {
		w = &watch{space: s, id: id, ready: make(chan struct{}), reading: true}
		s.setWatch(id, w)
		s.jobs.Go(w.open)
	}
	w.refs++
	s.mu.Unlock()
	select {
	case <-w.ready:
	case <-ctx.Done():
		s.unwatch(w)
		return nil, ctx.Err()
	}
	if w.err != nil {
		s.unwatch(w)
		return nil, w.err
	}
	return w, nil
}

// unwatch gives a watch back. One that nobody uses, and one that could not be opened, is forgotten.
func (s *space) unwatch(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.refs--
	if (w.refs == 0 || w.err != nil) && s.watches[w.id] == w {
		s.setWatch(w.id, nil)
	}
}

// setWatch makes w the watch of a session, or says that there is none. The caller holds mu.
func (s *space) setWatch(id broker.Token, w *watch) {
	if w == nil {
		delete(s.watches, id)
	} else {
		s.watches[id] = w
	}
	if writer := s.writers[id]; writer != nil {
		writer.watch.Store(w)
	}
}

// open reads the log for the first time.
func (w *watch) open() {
	defer close(w.ready)
	ctx, cancel := context.WithTimeout(w.space.life, openWithin)
	defer cancel()
	if w.info, w.err = w.space.info(ctx, w.id); w.err != nil {
		return
	}
	f, err := w.space.load(ctx, w.id)
	if err != nil {
		w.err = err
		return
	}
	w.mu.Lock()
	w.fold = f
	w.reading = w.newest > f.index
	behind := w.reading
	w.mu.Unlock()
	if behind {
		w.err = w.catchUp(ctx)
	}
}

// catchUp reads the log until it has all that came live meanwhile, and lets what comes live through again.
func (w *watch) catchUp(ctx context.Context) error {
	for {
		w.mu.Lock()
		from := w.fold.seq + 1
		w.mu.Unlock()
		err := w.space.read(ctx, w.id, from, func(e *Event, seq uint64) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.pass(e, seq)
			return true
		})
		if err != nil {
			return err
		}
		w.mu.Lock()
		if w.newest <= w.fold.index || w.lost {
			w.reading = false
			w.mu.Unlock()
			return nil
		}
		stuck := w.fold.seq < from // the store does not have yet what came live
		w.mu.Unlock()
		if stuck {
			w.space.pause(lookAgain)
		}
	}
}

// pass folds an event and delivers it. The caller holds mu.
func (w *watch) pass(e *Event, seq uint64) {
	if e.Index <= w.fold.index {
		return
	}
	w.fold.apply(e, seq)
	for _, f := range w.followers {
		f.follower.Deliver(e)
	}
}

// live takes the copy of an event that was just stored. In a cluster that is on the disks of most nodes by then.
func (w *watch) live(m *nats.Msg) {
	e, err := decode(m.Data)
	seq, numberErr := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil || numberErr != nil {
		w.space.hub.log.Error("an event can't be read", "session", w.id, "err", err)
		return
	}
	w.take(e, seq)
}

// take takes the newest event.
func (w *watch) take(e *Event, seq uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reading {
		w.newest = max(w.newest, e.Index)
		return
	}
	if e.Index > w.fold.index+1 {
		w.repair(e.Index)
		return
	}
	w.pass(e, seq)
}

// repair reads from the store what did not come live. The caller holds mu.
func (w *watch) repair(upTo uint64) {
	if w.reading {
		return
	}
	w.reading, w.newest = true, upTo
	w.space.start(func() {
		for {
			err := w.catchUp(w.space.life)
			if err == nil || w.space.life.Err() != nil {
				return
			}
			w.space.hub.log.Warn("a session's log can't be read now", "session", w.id, "err", err)
			w.space.pause(retryAfter)
		}
	})
}

// recheck looks for what was missed while nothing came live.
func (w *watch) recheck() {
	select {
	case <-w.ready:
	default:
		return // it is being read anyway
	}
	ctx, cancel := context.WithTimeout(w.space.life, openWithin)
	defer cancel()
	last, err := w.space.conn.Last(ctx, broker.Sessions, broker.SessionLog(w.id))
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || last > w.fold.seq {
		w.repair(w.fold.index)
	}
	if w.fold.unfinished() {
		w.space.wake(w.id)
	}
}

// typing passes on that somebody is typing.
func (w *watch) typing(m *nats.Msg) {
	e := new(Event)
	if json.Unmarshal(m.Data, e) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.followers {
		f.follower.Deliver(e)
	}
}

// lose ends all followings.
func (w *watch) lose(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.followers {
		f.follower.Lost(err)
	}
	w.followers, w.lost = nil, true
}

func errClosed() error {
	return fault.New(fault.Draining, "The broker is shutting down, or the tenant is suspended.")
}

const (
	// openWithin bounds what somebody waits for who is the first to use a session.
	openWithin = 5 * time.Second
	// lookAgain is the pause before the store is asked once more for what it must have any moment.
	lookAgain = 10 * time.Millisecond
	// retryAfter is the pause before something is tried again that has failed.
	retryAfter = time.Second
)
