package channels

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"parley/broker"
	"parley/broker/brokertest"
	"parley/internal/fault"
	"parley/internal/rawjson"
)

// startNodes runs a cluster of n nodes, or one that knows nothing of clusters.
func startNodes(t testing.TB, n int) []*node {
	t.Helper()
	var nodes []*node
	for _, n := range brokertest.StartCluster(t, n) {
		nodes = append(nodes, withHub(n, Config{}))
	}
	return nodes
}

// openAll makes the tenant acme and opens it on every node.
func openAll(t *testing.T, nodes []*node) []*Space {
	t.Helper()
	const id = "acme"
	var engines []*brokertest.Node
	for _, n := range nodes {
		engines = append(engines, n.Node)
	}
	account := brokertest.NewAccount(t, id, engines...)
	var spaces []*Space
	for _, n := range nodes {
		spaces = append(spaces, n.open(t, id, account))
	}
	return spaces
}

// forNodes runs a test alone and in a cluster of three.
func forNodes(t *testing.T, f func(*testing.T, []*node)) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { f(t, startNodes(t, n)) })
	}
}

func TestNodesShareChannels(t *testing.T) {
	t.Parallel()
	forNodes(t, func(t *testing.T, nodes []*node) {
		spaces := openAll(t, nodes)
		to := channel("acme", "news")
		var socks []*socket
		for _, s := range spaces {
			sock, _ := subscribe(t, s, to, SubscribeOptions{}, Since{})
			socks = append(socks, sock)
		}
		const rounds = 40
		for i := range rounds {
			for j, s := range spaces {
				say(t, s, to, "ann", fmt.Sprint(i, "-", j), "x")
			}
		}
		for j, sock := range socks {
			checkOrder(t, fmt.Sprint("node ", j+1), sock.await(t, rounds*len(spaces)), rounds*len(spaces))
		}
	})
}

// checkOrder reports what is not there once and in order.
func checkOrder(t *testing.T, who string, got []delivered, want int) {
	t.Helper()
	if len(got) != want {
		t.Errorf("%s got %d messages, want %d", who, len(got), want)
	}
	for i, d := range got {
		if d.Seq != uint64(i+1) {
			t.Fatalf("%s: message %d has the sequence %d", who, i, d.Seq)
		}
	}
}

func TestTheFirstSubscriberOfANodeMissesNothing(t *testing.T) {
	t.Parallel()
	forNodes(t, func(t *testing.T, nodes []*node) {
		spaces := openAll(t, nodes)
		last := spaces[len(spaces)-1]
		for i := range 30 { // a topic that no node has opened, and a message as soon as it is
			to := channel("acme", broker.Name(fmt.Sprint("fresh-", i)))
			sock, _ := subscribe(t, last, to, SubscribeOptions{}, Since{})
			say(t, spaces[i%len(spaces)], to, "ann", "1", "x")
			if got := sock.await(t, 1); len(got) != 1 {
				t.Fatalf("got %v", got)
			}
		}
	})
}

func TestNodesShareInboxes(t *testing.T) {
	t.Parallel()
	forNodes(t, func(t *testing.T, nodes []*node) {
		spaces := openAll(t, nodes)
		bob := Address{Tenant: "acme", Agent: "bob"}
		total := 0
		for i, at := range spaces { // bob is on one node after the other, and meanwhile away
			for j, from := range spaces {
				say(t, from, bob, "ann", fmt.Sprint(i, "-", j), "x")
				total++
			}
			sub, err := at.SubscribeInbox(t.Context(), "bob")
			if err != nil {
				t.Fatal(err)
			}
			sock := newSocket()
			sub.StartInbox(sock)
			got := sock.await(t, len(spaces))
			if len(got) != len(spaces) || got[0].Seq != uint64(total-len(spaces)+1) {
				t.Fatalf("on node %d bob got %+v", i+1, got)
			}
			sub.Close()
			for saved := uint64(0); saved != uint64(total); { // it is written a moment later
				if saved, err = at.inboxPlace(t.Context(), "bob"); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestNodesSharePresence(t *testing.T) {
	t.Parallel()
	forNodes(t, func(t *testing.T, nodes []*node) {
		spaces := openAll(t, nodes)
		first, last := spaces[0], spaces[len(spaces)-1]
		p := first.Enter("bob")
		p.Join("news")
		p.Say(Busy)
		awaitState(t, last, Busy, 1)
		q := last.Enter("bob")
		awaitState(t, first, Busy, 2)
		if there := first.Present("news"); len(there) != 1 || there[0].Agent != "bob" {
			t.Errorf("present %v", there)
		}
		p.Leave()
		awaitState(t, last, Busy, 1) // it is still here, and has said nothing else
		q.Say(Idle)
		awaitState(t, first, Idle, 1)
		p = first.Enter("bob")
		awaitState(t, last, Idle, 2)
		p.Leave()
		q.Leave()
		awaitState(t, first, Offline, 0)
		awaitState(t, last, Offline, 0)
		last.Enter("bob")
		awaitState(t, first, Online, 1) // what it said before belongs to another life
	})
}

// awaitState waits until a node says so of the agent bob.
func awaitState(t *testing.T, s *Space, status Status, sockets int) {
	t.Helper()
	const agent = "bob"
	deadline := time.Now().Add(60 * time.Second)
	for {
		a, err := s.Agent(agent)
		if err == nil && a.Status == status && a.Sockets == sockets {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %+v, %v; want %s with %d sockets", agent, a, err, status, sockets)
		}
		runtime.Gosched() // the other node works in this process
	}
}

// insist publishes until it is stored, with the same id, as a client does.
func insist(t *testing.T, s *Space, to Address, id string) {
	deadline := time.Now().Add(60 * time.Second)
	for {
		r := make(receipts, 1)
		m := Message{To: to, Sender: "ann", ID: id, Time: time.Now(), Members: []rawjson.Member{{Name: "type", Value: []byte(`"message"`)}}}
		err := s.Publish(t.Context(), m, r)
		if err == nil {
			err = (<-r).Err
		}
		if err == nil {
			return
		}
		if code := fault.CodeOf(err); code != fault.OutcomeUnknown && code != fault.Unavailable || time.Now().After(deadline) {
			t.Errorf("message %s: %v", id, err)
			return
		}
	}
}

// TestNodesStopUnderLoad stops the nodes but one, one after the other is back, while messages are written and read on the
// one that stays.
func TestANodeStopsUnderLoad(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3)
	spaces := openAll(t, nodes)
	to := channel("acme", "busy")
	socks := make([]*socket, 2)
	for i, s := range spaces[:2] {
		socks[i], _ = subscribe(t, s, to, SubscribeOptions{}, Since{})
	}
	const half = 200
	var writing sync.WaitGroup
	stopped := make(chan struct{})
	writing.Go(func() {
		for i := range half {
			insist(t, spaces[0], to, fmt.Sprint("before-", i))
		}
		<-stopped
		for i := range half {
			insist(t, spaces[1], to, fmt.Sprint("after-", i))
		}
	})
	socks[1].await(t, half/2)
	nodes[2].Stop()
	close(stopped)
	writing.Wait()
	for i, sock := range socks {
		got := sock.await(t, 2*half)
		seen, last := map[string]bool{}, uint64(0)
		for _, d := range got {
			if seen[d.ID] || d.Seq <= last {
				t.Errorf("node %d: message %s with sequence %d behind %d", i+1, d.ID, d.Seq, last)
			}
			seen[d.ID], last = true, d.Seq
		}
		if len(seen) != 2*half {
			t.Errorf("node %d got %d messages", i+1, len(seen))
		}
	}
}

// BenchmarkNodesStore publishes as a few busy agents do, on one node and on a cluster of three in this process.
func BenchmarkNodesStore(b *testing.B) {
	for _, n := range []int{1, 3} {
		nodes := startNodes(b, n)
		space, _ := nodes[0].tenant(b, "acme")
		for _, window := range []int{1, 1600} {
			b.Run(fmt.Sprintf("nodes=%d/window=%d", n, window), func(b *testing.B) { publishAll(b, space, window) })
		}
	}
}

func publishAll(b *testing.B, space *Space, window int) {
	content := rawjson.Member{Name: "content", Value: fmt.Appendf(nil, "%0256d", 1)}
	content.Value = append(append([]byte{'"'}, content.Value...), '"')
	r, sent := make(receipts, window), 0
	for b.Loop() {
		if sent++; sent > window {
			if o := <-r; o.Err != nil {
				b.Fatal(o.Err)
			}
		}
		m := Message{To: channel("acme", "a"), Sender: "ann", ID: fmt.Sprint(b.N, "-", sent), Time: time.Now(), Members: []rawjson.Member{content}}
		if err := space.Publish(b.Context(), m, r); err != nil {
			b.Fatal(err)
		}
	}
	for range min(sent, window) {
		<-r
	}
}
