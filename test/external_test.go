package test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"parley/internal/clustertest"
	"parley/test/rig"
)

// startOnNATS runs n brokers on external servers.
func startOnNATS(t *testing.T, servers *rig.NATS, n int) []*rig.Server {
	t.Helper()
	all := make([]*rig.Server, n)
	for i := range all {
		all[i] = parley.Start(t, servers.Options(t))
	}
	return all
}

// TestExternalServesAlike makes everything on one broker and uses it on another; what they have in common is the external
// servers.
func TestExternalServesAlike(t *testing.T) {
	t.Parallel()
	servers := parley.StartNATS(t, 3)
	nodes := startOnNATS(t, servers, 2)
	serveAlike(t, nodes[0], nodes[1], nodes[0])

	acme := newTenant(t, nodes[0], "acme")
	other := tenant{Server: nodes[1], t: t, id: "acme"}
	alice, bob := acme.agent("alice", "general"), other.agent("bob", "general")
	bob.Send(rig.Frame{"type": "status", "status": "busy"})
	awaitOutput(t, nodes[0], "busy", "agent", "list", "--tenant", "acme")
	creds := acme.creds("svc")
	for _, s := range servers.Servers {
		svc := rig.Serve(t, s.URL, creds)
		svc.Say("channel.general", `{"content":"from `+s.Name+`"}`)
		for _, agent := range []*rig.Socket{alice, bob} {
			if got := agent.Message(); got["content"] != "from "+s.Name {
				t.Errorf("received %s", got)
			}
		}
	}
}

// TestExternalServerHangs freezes each of the servers in turn, so that at least one of them is the one that the broker is
// connected to, and one leads the stream.
func TestExternalServerHangs(t *testing.T) {
	t.Parallel()
	servers := parley.StartNATS(t, 3)
	node := startOnNATS(t, servers, 1)[0]
	acme := newTenant(t, node, "acme")
	bob := acme.agent("bob", "general")
	alice := acme.agent("alice", "general", "echo", "false")
	for _, s := range servers.Servers {
		s.Freeze()
		since := time.Now()
		await(t, "a message to be stored", func() bool {
			alice.Send(rig.Frame{"id": s.Name, "type": "message", "content": s.Name})
			return alice.Next().Type() == "ACK"
		})
		t.Logf("stored %s after %s was frozen", time.Since(since), s.Name)
		if got := bob.Message(); got["content"] != s.Name {
			t.Errorf("received %s", got)
		}
		s.Thaw()
	}
	bob.Settle()
	if more := bob.Pending(); len(more) > 0 {
		t.Errorf("received twice: %s", more)
	}
}

// TestExternalKillUnderLoad kills each of the external servers and then each broker, while agents write and read.
func TestExternalKillUnderLoad(t *testing.T) {
	servers := parley.StartNATS(t, 3)
	nodes := startOnNATS(t, servers, 2)
	acme := newTenant(t, nodes[0], "acme")
	fleet := startFleet(t, acme, nodes)
	for _, s := range servers.Servers {
		fleet.without(s.Name, s.Kill, func() { s.Start(); s.Await() })
	}
	for i, n := range nodes {
		fleet.without(fmt.Sprint("broker ", i+1), func() { fleet.down(i, true); n.Kill() }, func() { n.Restart(); fleet.down(i, false) })
	}
	fleet.awaitAcks()
	fleet.finish(acme)
}

// TestExternalQuorum takes the majority of the servers away, and all of them, and gives them back.
func TestExternalQuorum(t *testing.T) {
	t.Parallel()
	servers := parley.StartNATS(t, 3)
	node := startOnNATS(t, servers, 1)[0]
	acme := newTenant(t, node, "acme")
	bob := acme.agent("bob", "general")
	alice := acme.agent("alice", "general", "echo", "false")
	alice.Publish("before")
	ready := func(want int) {
		t.Helper()
		await(t, fmt.Sprint("readyz to say ", want), func() bool {
			return rig.Do(t, "GET", node.AdminURL()+"/readyz", "", "").Status == want
		})
	}
	for _, down := range [][]*rig.NATSServer{servers.Servers[1:], servers.Servers} {
		for _, s := range down {
			s.Kill()
		}
		ready(http.StatusServiceUnavailable)
		alice.Send(rig.Frame{"id": "bad", "type": "message", "content": "lost"})
		checkError(t, alice.Next(), refusal{"UNAVAILABLE", "The message was not stored: the store can't be reached now."}, true)
		for _, s := range down {
			s.Start()
		}
		ready(http.StatusOK)
	}
	await(t, "a message to be stored", func() bool {
		alice.Send(rig.Frame{"id": "again", "type": "message", "content": "after"})
		return alice.Next().Type() == "ACK"
	})
	if got := contents(bob.Messages(2)); !slices.Equal(got, []any{"before", "after"}) {
		t.Errorf("received %v", got)
	}
}

// TestExternalStranger starts a broker whose operator the servers do not know.
func TestExternalStranger(t *testing.T) {
	t.Parallel()
	servers := parley.StartNATS(t, 1)
	node := startOnNATS(t, servers, 1)[0]
	newTenant(t, node, "acme")
	options := servers.Options(t)
	options.Args[3] = clustertest.OperatorSeed(t)
	s, refusal := parley.TryStart(t, options)
	if s != nil {
		t.Fatal("it is ready")
	}
	if refusal.Code != 6 || !rig.Contains([]rig.Frame{{"out": refusal.Stderr}}, "do not trust this broker's operator") {
		t.Errorf("exit %d: %s", refusal.Code, refusal.Stderr)
	}
}
