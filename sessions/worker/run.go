package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"
)

// lastWords is how long a worker that has given its answers up tries to say so.
const lastWords = 2 * time.Second

// worker is what the answers of a Run share.
type worker struct {
	cfg     Config
	handler Handler
	// slots are the answers that may run. They are given in the order in which the tenants ask, and each tenant asks for one
	// at a time: that is what makes a worker fair to them. A request is taken only with a slot for it, so none waits here
	// while another worker has time.
	slots *semaphore.Weighted
}

// Run takes requests and has them answered until ctx ends. Then it takes no more, gives the answers that are running the
// time of Config.Grace, hands the rest over to other workers, and returns nil when all Handlers have returned. It returns
// an error at once when the configuration makes no sense, and when all connections have been closed. Connections that
// are merely lost it waits for.
func Run(ctx context.Context, cfg Config, h Handler) error {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	w := &worker{cfg: cfg, handler: h, slots: semaphore.NewWeighted(int64(cfg.Concurrency))}
	// What ends answers that are running is not ctx, but the end of their grace.
	answers, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	defer giveUp(errOver)
	var tenants, grace sync.WaitGroup
	served := make(chan struct{})
	grace.Go(func() { w.grace(ctx, served, giveUp) })
	lost := make([]error, len(cfg.Conns))
	for i, nc := range cfg.Conns {
		tenants.Go(func() { lost[i] = w.serve(ctx, answers, newLink(nc, cfg.Log)) })
	}
	tenants.Wait()
	close(served)
	grace.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("a worker without a connection: %w", errors.Join(lost...))
}

// grace gives up what is still running some time after ctx has ended.
func (w *worker) grace(ctx context.Context, served <-chan struct{}, giveUp context.CancelCauseFunc) {
	select {
	case <-ctx.Done():
	case <-served:
		return
	}
	select {
	case <-time.After(w.cfg.Grace):
		giveUp(ErrDraining)
	case <-served:
	}
}

// serve takes a tenant's requests until ctx ends, and returns when they are answered. It returns an error when the
// connection was closed before.
func (w *worker) serve(ctx, answers context.Context, l *link) (closed error) {
	taking, stop := context.WithCancel(ctx)
	defer stop()
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	var watcher, running sync.WaitGroup
	watcher.Go(func() {
		if closed = l.watch(watching); closed != nil {
			l.log.Error("a connection is closed for good", "error", closed)
			stop()
		}
	})
	if queue := l.queue(taking, w.cfg.Queue); queue != nil {
		for taking.Err() == nil {
			if m := w.take(taking, l, queue); m != nil {
				running.Go(func() {
					defer w.slots.Release(1)
					w.answer(answers, l, m)
				})
			}
		}
	}
	running.Wait()
	unwatch()
	watcher.Wait()
	return closed
}

// take returns a request together with a slot, or nil when there was none for a while.
func (w *worker) take(ctx context.Context, l *link, queue jetstream.Consumer) jetstream.Msg {
	if w.slots.Acquire(ctx, 1) != nil {
		return nil
	}
	if m := l.next(ctx, queue, false); m != nil {
		return m
	}
	w.slots.Release(1)
	m := l.next(ctx, queue, true)
	if m != nil && (ctx.Err() != nil || !w.slots.TryAcquire(1)) {
		_ = m.Nak() // another worker may have time; if that gets lost, the server notices by itself
		return nil
	}
	return m
}

// answer answers one request. answers ends when no more time is given.
func (w *worker) answer(answers context.Context, l *link, m jetstream.Msg) {
	r, err := parseRequest(m.Data())
	if err != nil {
		l.log.Error("a request that makes no sense", "subject", m.Subject(), "error", err)
		_ = m.Term() // nobody else will understand it
		return
	}
	started := time.Now()
	log := l.log.With("session", r.Session, "run", r.Run, "attempt", r.Attempt)
	sending, stopSending := context.WithDeadlineCause(context.WithoutCancel(answers), r.Deadline, ErrDeadline)
	defer stopSending()
	ctx, cancel := context.WithCancelCause(sending)
	defer cancel(errOver)
	ctx, span := w.trace(ctx, m, r)
	defer func() { endSpan(ctx, span, err) }()
	a := &Answer{Request: r, box: newOutbox(r, w.cfg.Coalesce), ask: l.ask}
	c := newCourier(l, a.box, r, w.cfg)
	_, _ = a.box.put(w.accept(r)) // there is room

	var delivery sync.WaitGroup
	delivery.Go(func() {
		if err := c.run(sending); err != nil {
			a.box.abandon(err)
			cancel(err)
		}
	})
	unguard := context.AfterFunc(answers, func() {
		a.box.finish(failure(&Error{Code: codeDraining, Message: defaultMessage, Retry: true}), ErrDraining)
		cancel(ErrDraining)
		time.AfterFunc(lastWords, stopSending)
	})
	defer unguard()

	select {
	case <-c.accepted:
	case <-ctx.Done():
	}
	if c.settled(context.Cause(ctx)) {
		_ = m.Ack() // a lost one has the request delivered again, and accepting it a second time is refused
	}
	if ctx.Err() == nil {
		err = w.handle(ctx, a)
		if err != nil && ctx.Err() == nil {
			log.Error("the answer failed", "error", err)
		}
		a.end(err)
	}
	delivery.Wait()
	log.Info("answered", "took", time.Since(started), "outcome", outcome(ctx, err))
}

// accept returns the first message of an attempt. It names the worker in a way that no other delivery of the same request
// shares, because only one may have it. An answer of which there is nothing yet can be continued by everybody.
func (w *worker) accept(r *Request) *message {
	return &message{
		Type: typeAccept, Worker: w.cfg.Name + "/" + uuid.NewString(), Continue: r.Attempt > 1 && (r.Partial == "" || w.cfg.Continue(r)),
	}
}

// handle calls the Handler. One that panics has failed, and takes no other answer with it.
func (w *worker) handle(ctx context.Context, a *Answer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the handler panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return w.handler(ctx, a)
}

// outcome says for the log how an answer ended.
func outcome(ctx context.Context, err error) string {
	if cause := context.Cause(ctx); cause != nil {
		return cause.Error()
	}
	if err != nil {
		return "failed"
	}
	return "complete"
}
