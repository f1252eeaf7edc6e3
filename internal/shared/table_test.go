package shared

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"parley/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// part is what the tests share.
type part struct {
	key     string
	running atomic.Bool
}

// parts is a table that counts.
type parts struct {
	*Table[string, *part]
	opened, closed atomic.Int64
	slow           chan struct{} // a value lets one be opened; nil means at once
	err            error
}

func newParts(t *testing.T) *parts {
	p := &parts{}
	p.Table = NewTable(p.openPart, func(one *part) {
		if !one.running.Swap(false) {
			t.Errorf("%s is closed twice", one.key)
		}
		p.closed.Add(1)
	})
	return p
}

func (p *parts) openPart(_ context.Context, key string) (*part, error) {
	if p.slow != nil {
		<-p.slow
	}
	if p.err != nil {
		return nil, p.err
	}
	p.opened.Add(1)
	one := &part{key: key}
	one.running.Store(true)
	return one, nil
}

func (p *parts) want(t *testing.T, what string, opened, closed int64) {
	t.Helper()
	if o, c := p.opened.Load(), p.closed.Load(); o != opened || c != closed {
		t.Errorf("%s: opened %d, closed %d; want %d, %d", what, o, c, opened, closed)
	}
}

func (p *parts) acquire(t *testing.T) *part {
	t.Helper()
	one, err := p.Acquire(t.Context(), "acme")
	if err != nil || one.key != "acme" || !one.running.Load() {
		t.Fatalf("%+v, %v", one, err)
	}
	return one
}

func always(*part) bool { return true }

func TestOnePartForAll(t *testing.T) {
	p := newParts(t)
	defer p.Close()
	p.slow = make(chan struct{})
	var users sync.WaitGroup
	for range 10 {
		users.Go(func() { p.acquire(t) })
	}
	p.slow <- struct{}{}
	users.Wait()
	p.want(t, "after ten users", 1, 0)
	if !p.Has("acme") || p.Has("evil") || len(p.Open()) != 1 {
		t.Errorf("open are %v", p.Open())
	}
}

func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t)
		defer p.Close()
		one, two := p.acquire(t), p.acquire(t)
		p.Release("acme", one)
		<-time.After(time.Minute)
		p.CloseIdle(time.Now(), always)
		p.want(t, "in use", 1, 0)
		p.Release("acme", two)
		p.CloseIdle(time.Now().Add(-time.Second), always)
		p.want(t, "used just now", 1, 0)
		<-time.After(time.Minute)
		p.CloseIdle(time.Now(), func(*part) bool { return false })
		p.want(t, "busy by itself", 1, 0)
		p.CloseIdle(time.Now(), always)
		p.want(t, "idle", 1, 1)
	})
}

// TestDrop drops a part that is used. Who gives it back then takes nothing from those who use the next one.
func TestDrop(t *testing.T) {
	p := newParts(t)
	defer p.Close()
	before := p.acquire(t)
	p.Drop("acme")
	p.Drop("acme")
	p.want(t, "dropped", 1, 1)
	p.acquire(t)
	p.Release("acme", before)
	p.CloseIdle(time.Now().Add(time.Hour), always)
	p.want(t, "used again", 2, 1)
}

func TestFailedOpeningIsTriedAgain(t *testing.T) {
	p := newParts(t)
	defer p.Close()
	p.err = errors.New("not now")
	if _, err := p.Acquire(t.Context(), "acme"); !errors.Is(err, p.err) {
		t.Error(err)
	}
	if p.Has("acme") {
		t.Error("it is remembered")
	}
	p.err = nil
	p.acquire(t)
}

// TestImpatience: whoever does not wait for another one's opening leaves no trace, and the other gets what he wanted.
func TestImpatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t)
		p.slow = make(chan struct{})
		var first sync.WaitGroup
		first.Go(func() { p.Release("acme", p.acquire(t)) })
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.Acquire(ctx, "acme"); fault.CodeOf(err) != fault.Unavailable {
			t.Error(err)
		}
		if len(p.Open()) != 0 {
			t.Error("it is open already")
		}
		var closing sync.WaitGroup
		closing.Go(p.Close) // waits for it
		synctest.Wait()
		close(p.slow)
		first.Wait()
		closing.Wait()
		p.want(t, "at the end", 1, 1)
	})
}

func TestClosed(t *testing.T) {
	p := newParts(t)
	p.acquire(t)
	ahead := make(chan struct{})
	p.Ahead("acme", func(context.Context) { t.Error("opened ahead although it is open") })
	p.Ahead("other", func(ctx context.Context) {
		if _, err := p.Acquire(ctx, "other"); err != nil {
			t.Error(err)
		}
		close(ahead)
		<-ctx.Done()
	})
	<-ahead
	p.Close()
	p.want(t, "closed", 2, 2)
	if _, err := p.Acquire(t.Context(), "acme"); fault.CodeOf(err) != fault.Draining {
		t.Error(err)
	}
	p.Ahead("acme", func(context.Context) { t.Error("opened ahead although all is closed") })
	p.Drop("acme")
}

// TestStress has users, droppers and idlers at work at the same time: what is opened is closed once.
func TestStress(t *testing.T) {
	p := newParts(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 200 {
				key := string(rune('a' + i%3))
				one, err := p.Acquire(t.Context(), key)
				if err != nil {
					t.Error(err)
					return
				}
				switch i % 5 {
				case 0:
					p.Drop(key)
				case 1:
					p.CloseIdle(time.Now().Add(time.Hour), always)
				}
				p.Release(key, one)
			}
		})
	}
	all.Wait()
	p.Close()
	if o, c := p.opened.Load(), p.closed.Load(); o != c {
		t.Errorf("opened %d, closed %d", o, c)
	}
}
