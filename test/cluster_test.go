package test

import (
	"fmt"
	"testing"
	"time"

	"parley/test/rig"
)

// TestClusterServesAlike makes everything on one node and uses it on another.
func TestClusterServesAlike(t *testing.T) {
	t.Parallel()
	nodes := parley.StartCluster(t, 3)
	serveAlike(t, nodes[0], nodes[1], nodes[2])
	shutOut(t, nodes[0], nodes[1], nodes[2])
}

func serveAlike(t *testing.T, a, b, c *rig.Server) {
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

	sharedAdminKey(t, a, b, c)
	b.MustCLI("tenant", "suspend", "acme")
	cut := time.Now()
	for name, s := range map[string]*rig.Socket{"alice": alice, "bob": bob} {
		if code, reason := s.Ended(); code < 1000 {
			t.Errorf("%s's connection ended with %d %q", name, code, reason)
		}
	}
	t.Logf("a tenant suspended on one node was cut off on the others %s later", time.Since(cut))
	c.MustCLI("tenant", "resume", "acme")
	on(c).agent("alice", "general").Publish("again")
	a.MustCLI("tenant", "delete", "acme", "--yes")
	if out := b.MustCLI("tenant", "list"); out != "" && rig.Contains([]rig.Frame{{"out": out}}, "acme") {
		awaitGone(t, b, "acme")
	}
}

// sharedAdminKey: a named admin key is good on every node as soon as there is one, and on none when it has been revoked on
// one of them.
func sharedAdminKey(t *testing.T, a, b, c *rig.Server) {
	t.Helper()
	file := rig.WriteFile(t, "ann.key", []byte(a.MustCLI("adminkey", "create", "ann")))
	for _, s := range []*rig.Server{a, b, c} {
		s.MustCLI("tenant", "list", "--admin-key-file", file)
	}
	b.MustCLI("adminkey", "revoke", "ann")
	for _, s := range []*rig.Server{a, b, c} {
		if r := s.CLI("tenant", "list", "--admin-key-file", file); r.Code != 3 {
			t.Errorf("a revoked admin key: status %d, %s", r.Code, r.Stderr)
		}
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
		<-time.After(20 * time.Millisecond) // between two questions
	}
}

// TestClusterKillUnderLoad kills each node in turn while agents on all of them write, and agents read that go to another
// node when theirs dies. What was acknowledged is stored, nothing is there twice, and the readers got all of it once, in
// order.
func TestClusterKillUnderLoad(t *testing.T) {
	clusterUnderLoad(t, (*rig.Server).Kill, true)
}

// TestClusterRollingRestart is the same with nodes that are told to stop.
func TestClusterRollingRestart(t *testing.T) {
	clusterUnderLoad(t, func(s *rig.Server) {
		if code := s.Stop(); code != 0 {
			t.Errorf("exit status %d", code)
		}
	}, false)
}

// clusterUnderLoad ends each node and starts it again. What a tenant has used is neither lost by that nor counted twice:
// where a node has no time to write it down, it is asked for before.
func clusterUnderLoad(t *testing.T, end func(*rig.Server), ask bool) {
	nodes := parley.StartCluster(t, 3)
	used := spend(t, nodes)
	if ask {
		wantBill(t, nodes[:1], "Before it ends,", used)
	}
	acme := newTenant(t, nodes[0], "acme")
	fleet := startFleet(t, acme, nodes)
	call := startMeeting(t, acme, nodes)
	for i, n := range nodes {
		fleet.without(fmt.Sprint("n", i+1), func() {
			fleet.down(i, true)
			end(n)
			switch i {
			case 0:
				call.comeBack(nodes[1])
			case 1:
				backUp(t, nodes[0], used)
			}
		}, func() { n.Restart(); fleet.down(i, false) })
	}
	fleet.awaitAcks()
	fleet.finish(acme)
	call.awaitEnd(nodes)
	wantBill(t, nodes, "After all have ended once,", used)
}
