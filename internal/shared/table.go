// Package shared keeps what tenants have on a node: each tenant's part is opened at its first use, by whoever comes first,
// shared by all who use it, and closed when it is dropped or when nobody has used it for a while.
package shared

import (
	"context"
	"sync"
	"time"

	"parley/internal/fault"
)

// Table holds the parts of tenants by their keys. All methods may be called concurrently.
type Table[K, P comparable] struct {
	open  func(context.Context, K) (P, error)
	close func(P)
	life  context.Context
	end   context.CancelFunc
	jobs  sync.WaitGroup // what Ahead has started

	mu     sync.Mutex
	all    map[K]*entry[P] // guarded by mu
	closed bool            // guarded by mu
}

// entry is a part that is open, or being opened.
type entry[P any] struct {
	ready chan struct{} // closed when it has been opened; part and err are set before
	part  P             // set under the table's mu
	err   error
	users int       // guarded by the table's mu
	used  time.Time // when one of them left last; guarded by the table's mu
}

// NewTable returns an empty Table. open opens a part and leaves nothing behind when it fails; its context lives as long as the
// Table. close is called once for each part that was opened, and returns when it is gone. The caller closes the Table.
func NewTable[K, P comparable](open func(context.Context, K) (P, error), closing func(P)) *Table[K, P] {
	t := &Table[K, P]{open: open, close: closing, all: map[K]*entry[P]{}}
	t.life, t.end = context.WithCancel(context.Background()) //nolint:gosec // G118: Close calls it
	return t
}

// Acquire returns the part of a key, opening it when it is not open. Release gives it back; a part that is never given back is
// never idle. Errors are those of opening, fault.Draining when the Table is closed, and fault.Unavailable when ctx ends first.
func (t *Table[K, P]) Acquire(ctx context.Context, key K) (part P, err error) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return part, fault.New(fault.Draining, "The broker is shutting down.")
	}
	e, there := t.all[key]
	if !there {
		e = &entry[P]{ready: make(chan struct{})}
		t.all[key] = e
	}
	e.users++
	t.mu.Unlock()
	if !there {
		t.fill(key, e)
	}
	select {
	case <-e.ready:
		return e.part, e.err
	case <-ctx.Done():
		t.leave(e)
		return part, fault.Wrap(fault.Unavailable, ctx.Err(), "The tenant can't be reached now.")
	}
}

// fill opens the part of an entry. One that fails is forgotten.
func (t *Table[K, P]) fill(key K, e *entry[P]) {
	part, err := t.open(t.life, key)
	t.mu.Lock()
	e.part, e.err = part, err
	if err != nil && t.all[key] == e {
		delete(t.all, key)
	}
	t.mu.Unlock()
	close(e.ready)
}

// Release gives back what Acquire has returned for a key. It must be called at most once for each call.
func (t *Table[K, P]) Release(key K, part P) {
	t.mu.Lock()
	e := t.all[key]
	mine := e != nil && e.part == part // else it was dropped
	t.mu.Unlock()
	if mine {
		t.leave(e)
	}
}

func (t *Table[K, P]) leave(e *entry[P]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.users--
	e.used = time.Now()
}

// Ahead runs f on a goroutine that Close waits for, to open the part of a key before anybody asks, unless it is open. The
// context ends with the Table.
func (t *Table[K, P]) Ahead(key K, f func(context.Context)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed && t.all[key] == nil {
		t.jobs.Go(func() { f(t.life) })
	}
}

// Has reports whether the part of a key is open, or being opened.
func (t *Table[K, P]) Has(key K) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[key] != nil
}

// Open returns all parts that are open, in no order.
func (t *Table[K, P]) Open() (open []P) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.all {
		select {
		case <-e.ready:
			open = append(open, e.part)
		default:
		}
	}
	return open
}

// Drop closes the part of a key although it is used. The next Acquire opens it anew.
func (t *Table[K, P]) Drop(key K) {
	t.mu.Lock()
	e := t.all[key]
	delete(t.all, key)
	t.mu.Unlock()
	if e != nil {
		t.shut(e)
	}
}

// CloseIdle closes the parts that nobody has used since the given time and of which idle, which must not wait, says that they
// do nothing by themselves either.
func (t *Table[K, P]) CloseIdle(since time.Time, idle func(P) bool) {
	var over []*entry[P]
	t.mu.Lock()
	for key, e := range t.all {
		if e.users == 0 && e.used.Before(since) && idle(e.part) {
			over = append(over, e)
			delete(t.all, key)
		}
	}
	t.mu.Unlock()
	for _, e := range over {
		t.shut(e)
	}
}

// Close closes all parts and waits for what Ahead has started. Nothing can be acquired any more. It is called once.
func (t *Table[K, P]) Close() {
	t.mu.Lock()
	t.closed = true
	all := t.all
	t.all = nil
	t.mu.Unlock()
	for _, e := range all {
		t.shut(e)
	}
	t.end()
	t.jobs.Wait()
}

// shut closes what was taken out of the table.
func (t *Table[K, P]) shut(e *entry[P]) {
	<-e.ready
	if e.err == nil {
		t.close(e.part)
	}
}
