package openai

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// guard ends a request whose server sends nothing for too long. The time that a server has asked to be left alone for
// does not count.
type guard struct {
	limit time.Duration
	alarm *time.Timer
	end   func()
}

// watch returns a context for one request, and its guard, which the caller ends.
func watch(ctx context.Context, limit time.Duration) (context.Context, *guard) {
	ctx, cancel := context.WithCancelCause(ctx)
	g := &guard{limit: limit}
	g.alarm = time.AfterFunc(limit, func() { cancel(errStalled) })
	g.alarm.Stop()
	g.end = func() {
		g.alarm.Stop()
		cancel(nil)
	}
	return ctx, g
}

// attend is middleware around one try.
func (g *guard) attend(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	g.alarm.Reset(g.limit)
	resp, err := next(req)
	if err != nil {
		g.alarm.Stop()
		return resp, err
	}
	g.alarm.Reset(g.limit)
	resp.Body = &attended{resp.Body, g}
	return resp, nil
}

// blame returns why a request has failed with err.
func (g *guard) blame(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

// attended is a body whose every byte is a sign of life.
type attended struct {
	io.ReadCloser
	guard *guard
}

func (b *attended) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.guard.alarm.Stop()
	} else if n > 0 {
		b.guard.alarm.Reset(b.guard.limit)
	}
	return n, err
}

func (b *attended) Close() error {
	b.guard.alarm.Stop()
	return b.ReadCloser.Close()
}
