package rooms

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/broker"
	"parley/broker/brokertest"
	"parley/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for that must come.
const patience = 30 * time.Second

// node is an engine with a running hub, and a tenant.
type node struct {
	*brokertest.Node
	t       testing.TB
	hub     *Hub
	account broker.AccountID
}

func withHub(t testing.TB, n *brokertest.Node, cfg Config, account broker.AccountID) *node {
	t.Helper()
	hub, err := NewHub(cfg, n.Engine, n.Log)
	if err != nil {
		t.Fatal(err)
	}
	n.Run(hub.Run)
	return &node{n, t, hub, account}
}

// start runs one node.
func start(t testing.TB, cfg Config) *node {
	t.Helper()
	return startOn(t, t.TempDir(), cfg)
}

func startOn(t testing.TB, dir string, cfg Config) *node {
	t.Helper()
	n := brokertest.Start(t, broker.Config{DataDir: dir})
	return withHub(t, n, cfg, brokertest.NewAccount(t, "acme", n))
}

// startAgain starts a node that was stopped.
func startAgain(t testing.TB, dir string, cfg Config, before *node) *node {
	t.Helper()
	return withHub(t, brokertest.Start(t, broker.Config{DataDir: dir}), cfg, before.account)
}

// startCluster runs three nodes with one tenant.
func startCluster(t *testing.T, cfg Config) (all []*node) {
	t.Helper()
	nodes := brokertest.StartCluster(t, 3)
	account := brokertest.NewAccount(t, "acme", nodes...)
	for _, n := range nodes {
		all = append(all, withHub(t, n, cfg, account))
	}
	return all
}

// guest is a participant's connection, which keeps what it is told.
type guest struct {
	node *node
	name string
	seat *Seat

	mu     sync.Mutex
	told   []Notice      // guarded by mu
	change chan struct{} // guarded by mu; closed with the next notice
}

// Deliver implements Listener.
func (g *guest) Deliver(batch []Notice) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = append(g.told, batch...)
	close(g.change)
	g.change = make(chan struct{})
}

func (n *node) principal() Principal { return Principal{Tenant: "acme", Account: n.account} }

// try has somebody join, or fail to.
func (n *node) try(room string, e Entry) (*guest, error) {
	g := &guest{node: n, name: e.Name, change: make(chan struct{})}
	var err error
	g.seat, err = n.hub.Join(n.t.Context(), n.principal(), room, e, g)
	return g, err
}

// join has somebody join and waits until he is welcome.
func (n *node) join(room, name string) *guest {
	n.t.Helper()
	return n.enter(room, Entry{Name: name})
}

func (n *node) enter(room string, e Entry) *guest {
	n.t.Helper()
	g, err := n.try(room, e)
	if err != nil {
		n.t.Fatalf("%s joins %s: %v", e.Name, room, err)
	}
	g.await("the welcome", func(told []Notice) bool { return len(told) > 0 })
	if g.notices()[0].Kind != Welcomed {
		n.t.Fatalf("%s was told %+v before the welcome", e.Name, g.notices()[0])
	}
	return g
}

// back resumes the participant on a node.
func (g *guest) back(on *node, last *uint64) *guest {
	on.t.Helper()
	w := g.welcome()
	return on.enter(string(g.notices()[0].Room), Entry{Participant: w.Self.ID, Resume: w.Resume, LastSeq: last})
}

func (g *guest) welcome() *Welcome { return g.notices()[0].Welcome }

func (g *guest) id() string { return g.seat.Participant() }

func (g *guest) notices() []Notice {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Notice(nil), g.told...)
}

// await waits until what the guest was told is as it should be.
func (g *guest) await(what string, ok func([]Notice) bool) {
	g.node.t.Helper()
	limit := time.After(patience)
	for {
		g.mu.Lock()
		done, change := ok(g.told), g.change
		g.mu.Unlock()
		if done {
			return
		}
		select {
		case <-change:
		case <-limit:
			g.node.t.Fatalf("%s waits for %s and was told %+v", g.name, what, g.notices())
		}
	}
}

// signals returns the signals that the guest has got, as "sender:data", by the senders' ids.
func signals(told []Notice) (all []string) {
	for _, n := range told {
		if n.Kind == Signaled {
			all = append(all, n.Participant.ID+":"+string(n.Signal))
		}
	}
	return all
}

func (g *guest) awaitSignals(n int) []string {
	g.node.t.Helper()
	g.await(fmt.Sprint(n, " signals"), func(told []Notice) bool { return len(signals(told)) >= n })
	return signals(g.notices())
}

// awaitPeer waits until the guest is told that somebody has come or gone.
func (g *guest) awaitPeer(kind NoticeKind, id string) Notice {
	g.node.t.Helper()
	find := func(told []Notice) *Notice {
		for i := range told {
			if told[i].Kind == kind && told[i].Participant.ID == id {
				return &told[i]
			}
		}
		return nil
	}
	g.await(fmt.Sprint("notice ", kind, " of ", id), func(told []Notice) bool { return find(told) != nil })
	return *find(g.notices())
}

func (g *guest) signal(to *guest, data string) {
	g.node.t.Helper()
	if err := g.seat.Signal(to.id(), []byte(data)); err != nil {
		g.node.t.Fatalf("%s signals %s: %v", g.name, to.name, err)
	}
}

func wantCode(t testing.TB, what string, err error, want fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != want {
		t.Errorf("%s: %v (%s), want %s", what, err, fault.CodeOf(err), want)
	}
}
