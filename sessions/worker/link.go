package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// workStream is where requests wait; each queue has a durable consumer of its name.
const workStream = "WORK"

const (
	pullFor   = 30 * time.Second // how long one pull waits for a request
	pullBeat  = 2 * time.Second  // how often the server says that a pull still stands
	pullAgain = time.Second      // between tries, when there is no queue yet or no broker
)

// link is a worker's connection to one tenant.
type link struct {
	nc  *nats.Conn
	log *slog.Logger

	mu   sync.Mutex
	back chan struct{} // guarded by mu; closed when the connection has come back or is closed for good
}

func newLink(nc *nats.Conn, log *slog.Logger) *link {
	return &link{nc: nc, log: log, back: make(chan struct{})}
}

// cameBack returns a channel that is closed the next time that the connection comes back after a loss, or is closed.
func (l *link) cameBack() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.back
}

// watch tells those who wait when the connection comes back, until ctx ends. It returns an error when the connection was
// closed before.
func (l *link) watch(ctx context.Context) error {
	changes := l.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer l.nc.RemoveStatusListener(changes)
	for !l.nc.IsClosed() {
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
			l.mu.Lock()
			close(l.back)
			l.back = make(chan struct{})
			l.mu.Unlock()
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return cmp.Or(l.nc.LastError(), nats.ErrConnectionClosed)
}

// queue opens the queue's consumer, which the broker has made by the time that somebody has credentials for it. It waits
// for a broker that is away, and returns nil when ctx ends.
func (l *link) queue(ctx context.Context, name string) jetstream.Consumer {
	js, err := jetstream.New(l.nc)
	for told := false; ; told = true {
		var consumer jetstream.Consumer
		if err == nil {
			consumer, err = js.Consumer(ctx, workStream, name)
		}
		if err == nil || ctx.Err() != nil {
			return consumer
		}
		if !told {
			l.log.Warn("no access to the queue yet; trying on", "queue", name, "error", err)
		}
		l.rest(ctx)
		err = nil
	}
}

// next returns a request, nil when there is none. With wait it waits for one.
func (l *link) next(ctx context.Context, queue jetstream.Consumer, wait bool) jetstream.Msg {
	back := l.cameBack()
	if !l.nc.IsConnected() { // and what is asked now would be answered late
		l.rest(ctx)
		return nil
	}
	pull, err := l.pull(ctx, queue, wait, back)
	if err == nil {
		return pull
	}
	if ctx.Err() == nil && !errors.Is(err, jetstream.ErrNoHeartbeat) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		l.log.Warn("a pull has failed", "error", err)
		l.rest(ctx)
	}
	return nil
}

// pull asks for one request. A pull that waits is given up when the connection has come back: the server has forgotten it.
func (l *link) pull(ctx context.Context, queue jetstream.Consumer, wait bool, back <-chan struct{}) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, pullFor)
	defer cancel()
	var batch jetstream.MessageBatch
	var err error
	if wait {
		batch, err = queue.Fetch(1, jetstream.FetchContext(ctx), jetstream.FetchHeartbeat(pullBeat))
	} else {
		batch, err = queue.FetchNoWait(1)
	}
	if err != nil {
		return nil, fmt.Errorf("pull: %w", err)
	}
	select {
	case m, ok := <-batch.Messages():
		if ok {
			return m, nil
		}
		return nil, batch.Error()
	case <-back:
	case <-ctx.Done():
	}
	cancel()
	return <-batch.Messages(), nil // one may have come in the meantime
}

// rest waits a moment, or until the connection comes back.
func (l *link) rest(ctx context.Context) {
	select {
	case <-l.cameBack():
	case <-time.After(pullAgain):
	case <-ctx.Done():
	}
}

// ask asks a service of the tenant.
func (l *link) ask(ctx context.Context, subject string, data []byte) ([]byte, error) {
	m, err := l.nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, err
	}
	if failure := m.Header.Get("Nats-Service-Error"); failure != "" { // as the micro services of NATS say it
		return nil, errors.New(failure)
	}
	return m.Data, nil
}
