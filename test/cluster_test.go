package test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/test/rig"
)

// TestClusterServesAlike makes everything on one node and uses it on another.
func TestClusterServesAlike(t *testing.T) {
	nodes := parley.StartCluster(t, 3)
	a, b, c := nodes[0], nodes[1], nodes[2]
	on := func(s *rig.Server) tenant { return tenant{Server: s, t: t, id: "acme"} }
	newTenant(t, a, "acme")
	made := time.Now()
	alice, bob := on(b).agent("alice", "general"), on(c).agent("bob", "general")
	t.Logf("a tenant made on one node was used on the others %s later", time.Since(made))

	alice.Publish("from b")
	bob.Publish("from c")
	for _, s := range []*rig.Socket{alice, bob} {
		if got := contents(s.Messages(2)); got[0] != "from b" || got[1] != "from c" {
			t.Errorf("received %v", got)
		}
	}
	alice.PublishFrame(rig.Frame{"type": "message", "target": "bob", "content": "private"})
	if got := bob.Message(); got["content"] != "private" {
		t.Errorf("received %s", got)
	}
	alice.PublishFrame(rig.Frame{"type": "message", "target": "carol", "content": "waits"})
	if got := on(a).agent("carol", "").Message(); got["content"] != "waits" {
		t.Errorf("received %s", got)
	}
	awaitOutput(t, a, "alice", "agent", "list", "--tenant", "acme")
	awaitOutput(t, a, "bob", "agent", "list", "--tenant", "acme")

	b.MustCLI("tenant", "suspend", "acme")
	cut := time.Now()
	for name, s := range map[string]*rig.Socket{"alice": alice, "bob": bob} {
		if code, reason := s.Ended(); code < 1000 {
			t.Errorf("%s's connection ended with %d %q", name, code, reason)
		}
	}
	t.Logf("a tenant suspended on one node was cut off on the others %s later", time.Since(cut))
	c.MustCLI("tenant", "resume", "acme")
	on(a).agent("alice", "general").Publish("again")
	a.MustCLI("tenant", "delete", "acme", "--yes")
	if out := b.MustCLI("tenant", "list"); out != "" && rig.Contains([]rig.Frame{{"out": out}}, "acme") {
		awaitGone(t, b, "acme")
	}
}

// awaitOutput repeats a command until it prints a text.
func awaitOutput(t *testing.T, s *rig.Server, want string, args ...string) {
	t.Helper()
	await(t, fmt.Sprintf("%v to print %s", args, want), func() bool {
		return rig.Contains([]rig.Frame{{"out": s.MustCLI(args...)}}, want)
	})
}

func awaitGone(t *testing.T, s *rig.Server, id string) {
	t.Helper()
	await(t, "the tenant to be gone", func() bool {
		return !rig.Contains([]rig.Frame{{"out": s.MustCLI("tenant", "list")}}, id)
	})
}

// await asks until the answer is yes.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(rig.Patience); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s", what)
		}
	}
}

// TestClusterKillUnderLoad kills each node in turn while agents on all of them write, and agents read that go to another
// node when theirs dies. What was acknowledged is stored, nothing is there twice, and the readers got all of it once, in
// order.
func TestClusterKillUnderLoad(t *testing.T) { clusterUnderLoad(t, (*rig.Server).Kill) }

// TestClusterRollingRestart is the same with nodes that are told to stop.
func TestClusterRollingRestart(t *testing.T) {
	clusterUnderLoad(t, func(s *rig.Server) {
		if code := s.Stop(); code != 0 {
			t.Errorf("exit status %d", code)
		}
	})
}

func clusterUnderLoad(t *testing.T, end func(*rig.Server)) {
	const acksBefore, acksMeanwhile = 400, 400
	nodes := parley.StartCluster(t, 3)
	acme := newTenant(t, nodes[0], "acme")
	fleet := &fleet{t: t}
	for _, n := range nodes {
		fleet.addrs = append(fleet.addrs, n.StableAddr())
	}
	var writing, reading sync.WaitGroup
	load, readers := make([]*roamer, 3), make([]*roamer, 3)
	for i := range load {
		load[i] = fleet.roamer(acme, fmt.Sprint("writer-", i), i)
		writing.Go(load[i].write)
		readers[i] = fleet.roamer(acme, fmt.Sprint("reader-", i), i)
		reading.Go(readers[i].read)
	}
	for i, n := range nodes {
		fleet.awaitAcks(acksBefore)
		fleet.gap.Store(0)
		fleet.down(i, true)
		end(n)
		fleet.awaitAcks(acksMeanwhile)
		t.Logf("without %s: longest time between two acknowledgements %s", fmt.Sprint("n", i+1), time.Duration(fleet.gap.Load()))
		n.Restart()
		fleet.down(i, false)
	}
	fleet.awaitAcks(acksBefore)
	fleet.stopping.Store(true)
	writing.Wait()
	stored := history(t, acme, "busy")
	fleet.stored.Store(int64(len(stored)))
	reading.Wait()

	at, acked := map[string]uint64{}, 0
	for i, m := range stored {
		if at[m.ID()] != 0 {
			t.Errorf("message %s is stored twice", m.ID())
		}
		if i > 0 && m.Seq() <= stored[i-1].Seq() {
			t.Errorf("seq %d behind %d", m.Seq(), stored[i-1].Seq())
		}
		at[m.ID()] = m.Seq()
	}
	for _, w := range load {
		acked += len(w.acked)
		for id, seq := range w.acked {
			if at[id] != seq {
				t.Errorf("message %s was acknowledged as %d and is stored as %d", id, seq, at[id])
			}
		}
	}
	if acked != len(stored) {
		t.Errorf("%d messages are stored, their writers know of %d", len(stored), acked)
	}
	for i, r := range readers {
		if len(r.got) != len(stored) {
			t.Errorf("reader %d got %d messages of %d", i, len(r.got), len(stored))
			continue
		}
		for j, m := range stored {
			if r.got[j] != m.Seq() {
				t.Errorf("reader %d: message %d has seq %d, want %d", i, j, r.got[j], m.Seq())
				break
			}
		}
	}
	t.Logf("%d acknowledged messages", acked)
}

// fleet is a cluster as its clients know it.
type fleet struct {
	t     *testing.T
	addrs []string

	away     [3]atomic.Bool // the node is down, or about to be
	acks     atomic.Int64
	lastAck  atomic.Int64 // when, in nanoseconds
	gap      atomic.Int64 // longest time between two, since it was set to 0
	stopping atomic.Bool  // writers finish what they have begun
	stored   atomic.Int64 // how many messages there are in the end; 0 while that is not known
}

func (f *fleet) down(i int, away bool) { f.away[i].Store(away) }

func (f *fleet) awaitAcks(n int64) {
	f.t.Helper()
	target := f.acks.Load() + n
	await(f.t, "acknowledgements", func() bool {
		runtime.Gosched()
		return f.acks.Load() >= target
	})
}

func (f *fleet) acked() {
	now := time.Now().UnixNano()
	if before := f.lastAck.Swap(now); before != 0 && now-before > f.gap.Load() {
		f.gap.Store(now - before)
	}
	f.acks.Add(1)
}

// roamer is an agent that goes to another node when it loses its connection.
type roamer struct {
	*fleet
	token string
	node  int

	next  int
	open  []string          // ids without an ACK
	acked map[string]uint64 // id to seq
	got   []uint64          // what a reader has received
	agent string
}

func (f *fleet) roamer(acme tenant, agent string, node int) *roamer {
	return &roamer{fleet: f, token: acme.token(agent), node: node, acked: map[string]uint64{}, agent: agent}
}

// connect returns a connection to the node it is at, or to the next one that answers.
func (r *roamer) connect(more ...string) *rig.Socket {
	path := "/v1/ws?" + rig.Query(append([]string{"token", r.token, "channel_id", "busy"}, more...)...)
	for deadline := time.Now().Add(rig.Patience); time.Now().Before(deadline); r.node = (r.node + 1) % len(r.addrs) {
		if r.away[r.node].Load() {
			continue
		}
		if s := rig.Reach(r.t, r.addrs[r.node], path); s != nil {
			return s
		}
	}
	r.t.Errorf("%s found no node", r.agent)
	return nil
}

// write publishes in small groups until it is told to stop, and repeats what was not acknowledged under the same id.
func (r *roamer) write() {
	for !r.stopping.Load() || len(r.open) > 0 {
		s := r.connect("echo", "false")
		if s == nil {
			return
		}
		for r.round(s) {
		}
		s.Drop()
		r.node = (r.node + 1) % len(r.addrs)
	}
}

const group = 8

// round sends what is open, filled up with new messages, and takes the answers. It reports whether to go on here.
func (r *roamer) round(s *rig.Socket) bool {
	for len(r.open) < group && !r.stopping.Load() {
		r.open = append(r.open, fmt.Sprint(r.agent, "-", r.next))
		r.next++
	}
	for _, id := range r.open {
		if s.TrySend(rig.Frame{"id": id, "type": "message", "content": id}) != nil {
			return false
		}
	}
	var again []string
	for i, id := range r.open {
		answer, ok := s.TryAnswer(id)
		if !ok {
			r.open = append(again, r.open[i:]...)
			return false
		}
		if answer.Type() == "ACK" {
			r.acked[id] = answer.Seq()
			r.fleet.acked()
		} else {
			again = append(again, id)
		}
	}
	r.open = again
	return len(r.open) > 0 || !r.stopping.Load()
}

// read receives until it has everything, resuming wherever it finds a node.
func (r *roamer) read() {
	since := uint64(0)
	for deadline := time.Now().Add(10 * rig.Patience); time.Now().Before(deadline); r.node = (r.node + 1) % len(r.addrs) {
		s := r.connect("since", fmt.Sprint(since))
		if s == nil {
			return
		}
		for {
			if all := r.stored.Load(); all != 0 && int64(len(r.got)) >= all {
				s.Settle()
				for _, m := range s.Pending() {
					if !m.Answer() {
						r.got = append(r.got, m.Seq())
					}
				}
				return
			}
			m, ok := r.nextMessage(s)
			if !ok {
				break
			}
			if m != nil {
				since = m.Seq()
				r.got = append(r.got, since)
			}
		}
		s.Drop()
	}
}

// nextMessage is TryMessage that looks up now and then, since the last one may have come already.
func (r *roamer) nextMessage(s *rig.Socket) (rig.Frame, bool) {
	for _, f := range s.Pending() {
		if !f.Answer() {
			return s.TryMessage()
		}
	}
	select {
	case <-s.Done():
		return nil, len(s.Pending()) > 0
	case <-time.After(time.Millisecond): // between two looks
		return nil, true
	}
}
