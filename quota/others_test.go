package quota

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

// bus connects nodes that are in one process.
type bus struct {
	mu    sync.Mutex
	hears map[broker.Token]func(broker.Token, []byte)
	lost  []func(broker.Token)
}

// end is a node's end of a bus.
type end struct {
	*bus
	node broker.Token
}

func (e end) Clustered() bool { return true }

func (e end) Tell(_ broker.Token, data []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for node, f := range e.hears {
		if node != e.node {
			f(e.node, data)
		}
	}
	return nil
}

func (e end) Hear(_ broker.Token, f func(broker.Token, []byte)) (func(), error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hears[e.node] = f
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.hears, e.node)
	}, nil
}

func (e end) OnNodeLost(f func(broker.Token)) { e.lost = append(e.lost, f) }

// lose tells all nodes that one has died.
func (b *bus) lose(node broker.Token) {
	for _, f := range b.lost {
		f(node)
	}
}

// start runs a node's book until stop.
func (b *bus) start(t *testing.T, node broker.Token, r *registry) (book *Book, stop func()) {
	t.Helper()
	book = NewBook(r, end{b, node}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := book.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return book, stop
}

// await waits until other nodes have so many connections of acme, as far as a book knows.
func await(t *testing.T, b *Book, n int) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for b.others.count("acme", Key{Kind: connection}) != n {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatalf("the others have %d connections, want %d", b.others.count("acme", Key{Kind: connection}), n)
		}
	}
}

// TestNodesCountTogether fills a limit on two nodes, has a third one come late, and lets one die.
func TestNodesCountTogether(t *testing.T) {
	net, r := &bus{hears: map[broker.Token]func(broker.Token, []byte){}}, &registry{}
	r.set(tenants.Limits{tenants.Connections: 5, tenants.Runs: 1})
	a, _ := net.start(t, "a", r)
	b, stopB := net.start(t, "b", r)
	d := &Dialect{Name: "agents"}
	enter := func(book *Book, n int) {
		t.Helper()
		for range n {
			if err := book.Tenant("acme").Enter(Entry{Dialect: d, Agent: "ann"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	enter(a, 2)
	enter(b, 2)
	await(t, a, 2)
	await(t, b, 2)
	enter(a, 1)
	await(t, b, 3)
	wantCode(t, "a sixth on the other node", b.Tenant("acme").Enter(Entry{Dialect: d}), fault.LimitExceeded)
	if n := b.others.count("acme", Key{agent, "ann"}); n != 3 {
		t.Errorf("the agent has %d connections elsewhere", n)
	}
	if n := b.others.count("evil", Key{Kind: connection}); n != 0 {
		t.Errorf("another tenant has %d connections", n)
	}

	c, _ := net.start(t, "c", r)
	await(t, c, 5) // who comes late is told everything
	wantCode(t, "one on a node that came late", c.Tenant("acme").Enter(Entry{Dialect: d}), fault.LimitExceeded)

	r.set(tenants.Limits{tenants.Connections: 3})
	for name, book := range map[string]*Book{"a": a, "b": b} {
		tally, kept := book.Tenant("acme").Tally(), 0
		for range book.Tenant("acme").usage().Connections {
			if tally.Keep(Entry{Dialect: d, Agent: "ann"}) == nil {
				kept++
			}
		}
		if kept != 1 { // of two fifths and three fifths of three
			t.Errorf("%s keeps %d", name, kept)
		}
	}

	stopB()
	net.lose("b")
	await(t, c, 3)
	a.Tenant("acme").Leave(Entry{Dialect: d, Agent: "ann"})
	await(t, c, 2)
	enter(c, 1)
	wantCode(t, "a fourth where three may be", c.Tenant("acme").Enter(Entry{Dialect: d}), fault.LimitExceeded)
}

// TestLostReportsAreMended tells everything again what a node has missed.
func TestLostReportsAreMended(t *testing.T) {
	var o others
	o.join()
	k, ann := Key{Kind: connection}, Key{agent, "ann"}
	o.hear("b", report{Round: 1, Whole: true, Numbers: []number{{"acme", connection, "", 2}, {"acme", agent, "ann", 2}}})
	if !o.met() {
		t.Error("a node that was not known is no stranger")
	}
	if o.count("acme", k) != 2 || o.count("acme", ann) != 2 {
		t.Error("what was told is not known")
	}
	o.reports(1, true)
	if o.met() {
		t.Error("it is a stranger after everything was told")
	}
	o.hear("b", report{Round: 2, Numbers: []number{{"acme", connection, "", 1}}})
	if o.count("acme", ann) != 2 {
		t.Error("a report of news takes something away")
	}
	o.hear("b", report{Round: 2, Whole: true})
	if o.count("acme", k) != 1 || o.count("acme", ann) != 0 {
		t.Errorf("after the round it has %d, %d", o.count("acme", k), o.count("acme", ann))
	}
	o.changed("acme", k, 7)
	for i := range 2500 {
		o.changed("acme", Key{agent, strconv.Itoa(i)}, 1)
	}
	all := o.reports(3, true)
	if len(all) != 3 || all[0].Whole || !all[2].Whole {
		t.Errorf("2,501 numbers are told in %d reports", len(all))
	}
	if again := o.reports(3, false); len(again) != 0 {
		t.Errorf("news are told twice: %d", len(again))
	}
}
