package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"parley/acks"
	"parley/broker"
	"parley/internal/fault"
	"parley/internal/trace"
)

const (
	// maxCalls bounds what waits for a writer. Commands beyond are refused; what workers send is dropped, and comes again.
	maxCalls = 256
	// chunkTTL is how long chunks are kept: longer than an answer may take, because the answer's end has the whole text.
	chunkTTL = 30 * time.Minute
)

// writer decides what is written to one session's log. It runs on one goroutine, and no two of one session can write: each
// event says which one it expects to be the newest. It ends by itself when nothing happens in the session.
type writer struct {
	space *space
	id    broker.Token
	calls chan call
	held  []call         // taken from calls, and not carried out yet
	log   broker.Subject // where the events are stored
	live  broker.Subject // where services hear of them
	nonce string         // tells this writer's requests from those of another one

	info    Info
	fold    fold
	recent  []Line // what was said lately, for workers; nil until it is needed
	attempt *attempt
	ended   ending
	laidOut int         // how large the running answer is in the log
	scratch []byte      // for laying text out, to see how large it becomes
	settled bool        // something was appended, so that the fold is known to be all of the log
	asked   time.Time   // when the message whose turn it is was first given to workers, as far as this writer knows
	running bool        // counted as a run
	span    *trace.Span // of the answer that is being waited for, if it is traced
	owed    owed
	gateway []*nats.Subscription
	broken  error // why it can't go on

	manner manner // of the session's worker; touched by the Link's reader only

	bell  chan struct{} // told when something is due, when the writer broke, and when the space closes
	due   time.Time     // when to look again though nothing comes
	alarm *time.Timer

	// What follows is guarded by turn, see pieces.go; alarm and due are, too, while own is not set.
	turn    sync.Mutex
	own     bool       // the goroutine has the writer
	storing bool       // a piece is on its way to the disk, and has the writer unless own is set
	stored  *sync.Cond // told when own is set and nothing is on its way any more
	behind  []*output  // pieces that came while one was on its way
	left    bool       // nothing is taken any more
	alarmAt time.Time  // when alarm rings; zero when it has
	one     [1]*output // for store
	piece   piece      // what is on its way

	watch atomic.Pointer[watch] // of the session, nil when nobody on this node follows it; set under the space's mu
}

// call is what waits for a writer: a command, or what a worker has sent.
type call struct {
	command *command
	answer  func(result, error) // of a command
	output  *output
}

// refuse answers a call that is not carried out.
func (c call) refuse(err error) {
	if c.command != nil {
		c.answer(result{}, err)
	} else {
		c.output.refuse(err)
	}
}

// passes stores a piece or keeps it for the next event, and reports false when that takes more than a look.
func (w *writer) passes(o *output) bool {
	w.turn.Lock()
	defer w.turn.Unlock()
	return !w.left && w.pass(o)
}

// submit hands a call to the writer that runs on this node. It reports false when there is none.
func (s *space) submit(id broker.Token, c call) bool {
	s.mu.Lock()
	w := s.writers[id]
	s.mu.Unlock()
	return w != nil && w.take(c)
}

// take passes a piece on or queues a call. It reports false when the writer takes nothing any more.
func (w *writer) take(c call) bool {
	w.turn.Lock()
	defer w.turn.Unlock()
	if w.left {
		return false
	}
	if c.output != nil && w.pass(c.output) {
		return true
	}
	select {
	case w.calls <- c:
		w.own = true // as far as pieces are concerned
	default:
		if c.command != nil { // a worker sends it again
			c.refuse(fault.New(fault.LimitExceeded, "Too much is waiting to be done in the session."))
		}
	}
	return true
}

// write has this node write the session, beginning with a call.
func (s *space) write(id broker.Token, c call) error {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return errClosed()
		}
		w := s.writers[id]
		if w == nil {
			w = s.newWriter(id)
			w.watch.Store(s.watches[id])
			s.writers[id] = w
			s.jobs.Go(w.run)
		}
		s.mu.Unlock()
		if w.take(c) {
			return nil
		}
	}
}

func (s *space) newWriter(id broker.Token) *writer {
	log := broker.SessionLog(id)
	w := &writer{space: s, id: id, log: log, live: log.Live(), calls: make(chan call, maxCalls), nonce: uuid.NewString(), bell: make(chan struct{}, 1), own: true}
	w.stored, w.piece.writer = sync.NewCond(&w.turn), w
	w.alarm = time.AfterFunc(time.Hour, w.wakeUp)
	return w
}

// run writes until nothing happens any more, the space closes, or another writer turns up.
func (w *writer) run() {
	defer w.alarm.Stop()
	err := w.open()
	if err == nil {
		err = w.loop()
	}
	if errors.Is(err, acks.ErrNotLast) || err == nil {
		err = errMoved
	}
	w.leave()
	w.countRunning(false)
	w.span.End("moved")
	w.owed.pay()
	for _, sub := range w.gateway {
		_ = sub.Unsubscribe() // fails only when the connection is closed, which ends it as well
	}
	if w.broken != nil && w.fold.unfinished() {
		w.space.start(func() {
			w.space.pause(retryAfter)
			w.space.wake(w.id)
		})
	}
	for c, ok := w.pop(); ok; c, ok = w.pop() {
		c.refuse(err)
	}
}

// open reads what the log says, and listens to the other nodes.
func (w *writer) open() (err error) {
	ctx, cancel := context.WithTimeout(w.space.life, openWithin)
	defer cancel()
	if w.info, err = w.space.info(ctx, w.id); err != nil {
		return err
	}
	if w.fold, err = w.space.load(ctx, w.id); err != nil {
		return err
	}
	w.resume()
	if w.space.hub.engine.Clustered() {
		return w.listen()
	}
	return nil
}

// listen takes what the other nodes want of the session.
func (w *writer) listen() error {
	nc := w.space.conn.NATS()
	for subject, handle := range map[broker.Subject]nats.MsgHandler{
		broker.SessionGateway(w.id): w.takeCommand,
		broker.SessionForward(w.id): w.space.takeForwarded,
	} {
		sub, err := nc.QueueSubscribe(string(subject), gateways, handle)
		if err != nil {
			return unreachable(err)
		}
		w.gateway = append(w.gateway, sub)
	}
	return nil
}

// takeCommand queues a command from another node.
func (w *writer) takeCommand(m *nats.Msg) {
	c := new(command)
	if err := json.Unmarshal(m.Data, c); err != nil {
		return
	}
	answer := func(r result, err error) { _ = m.Respond(answered(r, err)) }
	if !w.space.submit(w.id, call{command: c, answer: answer}) {
		answer(result{}, errMoved)
	}
}

func (w *writer) loop() error {
	defer context.AfterFunc(w.space.life, w.ring)()
	for w.broken == nil {
		w.advance()
		w.countRunning(w.attempt != nil)
		if w.broken != nil {
			break
		}
		c, came := w.next()
		switch {
		case came:
			w.carryOut(c)
		case w.broken != nil:
		case w.space.life.Err() != nil:
			return errClosed()
		case w.attempt == nil && !time.Now().Before(w.due):
			return nil
		case w.attempt != nil:
			w.supervise()
		}
	}
	return w.broken
}

// next returns the next call. It reports false when there is something else to look at.
func (w *writer) next() (c call, came bool) {
	if !w.yield() {
		select {
		case c := <-w.calls:
			w.acquire()
			w.held = append(w.held, c)
		case <-w.bell:
			w.acquire()
			if len(w.held) == 0 {
				return call{}, false
			}
		}
	}
	if w.broken != nil { // by a piece, which nothing may follow
		return call{}, false
	}
	return w.pop()
}

// pop returns the next call if there is one already.
func (w *writer) pop() (c call, ok bool) {
	if len(w.held) > 0 {
		c, w.held = w.held[0], w.held[1:]
		return c, true
	}
	select {
	case c = <-w.calls:
		return c, true
	default:
		return c, false
	}
}

// unpop has the next pop return a call.
func (w *writer) unpop(c call) { w.held = slices.Insert(w.held, 0, c) }

// ring has the goroutine look at what is due.
func (w *writer) ring() {
	select {
	case w.bell <- struct{}{}:
	default: // it rings already
	}
}

// wakeUp pays a worker what it is owed for long, and rings when the goroutine has something to do.
func (w *writer) wakeUp() {
	w.turn.Lock()
	defer w.turn.Unlock()
	w.alarmAt = time.Time{}
	if w.own || w.storing {
		return // who has the writer sets the alarm
	}
	now := time.Now()
	w.owed.payLate(now)
	if w.attempt != nil {
		w.due = w.patience()
	}
	if !now.Before(w.due) {
		w.ring()
		return
	}
	w.setAlarm()
}

// setAlarm has the alarm ring when something is due, or before: it is not put off by each call that comes. Under turn.
func (w *writer) setAlarm() {
	due := w.due
	if w.owed.count > 0 && w.owed.until.Before(due) {
		due = w.owed.until
	}
	if w.alarmAt.IsZero() || due.Before(w.alarmAt) {
		w.alarmAt = due
		w.alarm.Reset(max(time.Until(due), 0))
	}
}

// leave takes the writer out of the table: what comes from now on goes to the next one.
func (w *writer) leave() {
	w.space.mu.Lock()
	if w.space.writers[w.id] == w {
		delete(w.space.writers, w.id)
	}
	w.space.mu.Unlock()
	w.turn.Lock()
	w.left = true
	w.turn.Unlock()
}

// carryOut does what a call asks for, and answers it.
func (w *writer) carryOut(c call) {
	if c.output != nil {
		w.takeOutputs(w.gather(c.output))
		return
	}
	r, err := w.obey(c.command)
	if errors.Is(err, acks.ErrNotLast) {
		err = errMoved
	}
	c.answer(r, err)
}

const (
	// rereads and rereadEvery are how often, and with what pause, a writer looks for what it may have missed.
	rereads     = 15
	rereadEvery = 200 * time.Millisecond
)

// reread looks for events that the writer does not know, and reports whether there are any. Who leads a stream since a moment
// ago may not know yet of all that was confirmed before it; and on a node that has not heard of this writer yet another one
// may have begun. The next event that is appended would find out, but a worker that has been told of more than the writer
// knows is refused before that.
func (w *writer) reread() bool {
	if !w.space.hub.engine.Clustered() {
		return false
	}
	for range rereads {
		ctx, cancel := context.WithTimeout(w.space.life, openWithin)
		f, err := w.space.load(ctx, w.id)
		cancel()
		if err == nil && f.index > w.fold.index {
			w.fold = f
			w.resume()
			return true
		}
		if err == nil && w.settled { // what it has stored shows that the leader knows all
			return false
		}
		w.space.pause(rereadEvery)
	}
	return false
}
